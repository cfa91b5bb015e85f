/**
 * Contacto · acción personalizada para Botpress v12: convierte la conversación en un ticket de Freshdesk.
 * Contacto · custom action for Botpress v12: turns the conversation into a Freshdesk ticket.
 *
 * Copy this file to data/global/actions/contacto.js. Settings come from the server's environment:
 * EXPOSED_CONTACT_URL, EXPOSED_CONTACT_TOKEN, EXPOSED_CONTACT_BOT. Guide: README.md, README.es.md.
 * It never throws, and sets temp.ticketOk, ticketId, ticketReference, ticketMessage, ticketError and
 * ticketField as the Cloud card does. It remembers the request's key in session.contactKey and
 * how often it was sent in session.contactTries.
 *
 * @title Contacto
 * @category Contacto
 * @author botpress-freshdesk-handoff
 */
const axios = require('axios')

// v12 cannot stop a custom action that runs inside the server, so this time-out is the only one. On
// an Action Server there is a hard limit of 5 s: set EXPOSED_CONTACT_TIMEOUT_MS=4000 there. The card then
// calls once; the function goes on without it, and the person's retry gets the same ticket.
const TIMEOUT_MS = Number(process.env.EXPOSED_CONTACT_TIMEOUT_MS) || 20000
const BUDGET_MS = TIMEOUT_MS > 5000 ? 45000 : TIMEOUT_MS
const SETTINGS = { url: 'EXPOSED_CONTACT_URL', token: 'EXPOSED_CONTACT_TOKEN', bot: 'EXPOSED_CONTACT_BOT' }
const PAUSE_MS = 2000 // before the second and last call
const LONGEST_PAUSE_MS = 5000 // of a longer Retry-After only this much is waited

// ── shared with the other card, letter for letter ──────────────────────────────────────────────
// No optional chaining in this part: Botpress v12 runs Node 12.

const BODY_BYTES = 240 * 1024 // the function refuses bodies above 256 KiB
const FIELDS_BYTES = 20 * 1024
const NO_SUMMARY = 'La persona pidió contacto. El bot no pudo armar un resumen.'
const NO_CATEGORY = 'sin_categoria'
// Said only where the function said nothing. None of them claims that nothing was registered: after a
// time-out nobody here knows.
const SENTENCES = {
  es: {
    kept: 'Listo. Tu pedido quedó registrado con el número',
    field: 'Ese dato no parece válido. ¿Me lo escribís de nuevo?',
    failed: 'No pude confirmar el registro de tu pedido.'
  },
  en: {
    kept: 'Done. Your request is registered with the number',
    field: 'That does not look right. Could you type it again?',
    failed: 'I could not confirm that your request was registered.'
  },
  pt: {
    kept: 'Pronto. Seu pedido foi registrado com o número',
    field: 'Esse dado não parece válido. Você pode escrever de novo?',
    failed: 'Não consegui confirmar o registro do seu pedido.'
  }
}

// A piece that is missing, or that refuses to be read, is undefined; it never stops the card.
const read = (get) => {
  try {
    return get()
  } catch (fault) {
    return undefined
  }
}

const say = (level, ...words) => read(() => console[level]('contacto:', ...words))

const toText = (value) => {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return value.map(toText).filter(Boolean).join('\n')
  return ''
}

// Half an emoji (a lone surrogate) is no valid UTF-8 and would make the whole body unreadable. Text
// with nothing to see in it counts as empty, here as in the function.
const VISIBLE = /[^\u0000-\u0020\u007f-\u00a0\u00ad\u061c\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufe00-\ufe0f\ufeff\ufff9-\uffff]/
const clean = (text) => {
  const cleaned = text
    .replace(/\p{Surrogate}/gu, '')
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, ' ')
    .trim()
  return VISIBLE.test(cleaned) ? cleaned : ''
}

// `max` counts characters as the function does: an emoji is one, though JavaScript counts two.
const head = (value, max) => {
  const text = read(() => toText(value)) || ''
  return clean(Array.from(text.slice(0, 2 * max)).slice(0, max).join(''))
}

// What is left of a transcript after a cut begins with a whole line: the rest of a line could be the
// rest of a payment card's number, which nobody would recognise and mask any more.
const afterCut = (text) => {
  const nextLine = text.replace(/^[^\n]{0,2000}\n/, '')
  return '[…]\n' + clean(nextLine === text ? text.replace(/^[\d\s.-]+/, '') : nextLine)
}

const tail = (value, max) => {
  const text = read(() => toText(value)) || ''
  const kept = Array.from(text.slice(-2 * max)).slice(-max).join('')
  return kept.length < text.length ? afterCut(kept) : clean(kept)
}

// Capture Information gives a name as text or as a Person: {first, last}.
const personName = (value) => {
  const parts = [read(() => value.first), read(() => value.last)].map(toText).filter(Boolean)
  return toText(value) || parts.join(' ') || toText(read(() => value.name))
}

const utf8Bytes = (text) => {
  let bytes = 0
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i)
    const half = unit >= 0xd800 && unit <= 0xdfff // two halves make one character of 4 bytes
    bytes += unit < 0x80 ? 1 : unit < 0x800 || half ? 2 : 3
  }
  return bytes
}

// The end of `text` that takes at most `budget` bytes inside JSON, whole characters only.
const lastBytes = (text, budget) => {
  let start = text.length
  let left = budget
  while (start > 0) {
    const unit = text.charCodeAt(start - 1)
    const from = unit >= 0xdc00 && unit <= 0xdfff ? start - 2 : start - 1
    left -= utf8Bytes(JSON.stringify(text.slice(from, start))) - 2
    if (left < 0) break
    start = from
  }
  return text.slice(start)
}

// Leaves out what is empty; cuts the transcript's beginning if the body would be too large.
const toBody = (fields) => {
  const body = {}
  const isEmpty = (value) => !value || (typeof value === 'object' && !Object.keys(value).length)
  for (const name of Object.keys(fields)) if (!isEmpty(fields[name])) body[name] = fields[name]
  const excess = utf8Bytes(JSON.stringify(body)) - BODY_BYTES
  const transcript = body.conversation_transcript
  if (excess > 0 && transcript) {
    const room = utf8Bytes(JSON.stringify(transcript)) - 2 - excess
    body.conversation_transcript = afterCut(lastBytes(transcript, room - 10))
  }
  return body
}

// The same request always has the same key, so that it never becomes two tickets: when Botpress
// replays a message, when this card tries again, and when the person does. `saved` is what the card
// left in contactKey: the key, and after '|' the message with which that request was settled. A
// message after that one is a new request and gets a new key.
const requestKey = (saved, conversationId, messageId) => {
  const parts = saved.split('|')
  const settledEarlier = parts.length > 1 && parts[1] !== encodeURIComponent(messageId)
  if (parts[0] && !settledEarlier) return parts[0]
  if (!conversationId || !messageId) return ''
  return encodeURIComponent(conversationId) + ':' + encodeURIComponent(messageId)
}

// A telephone the function would refuse must not take a good e-mail address down with it.
const phoneFields = (email, typed, known) => {
  const fits = (phone) => /^[+(]?[0-9][0-9 ()./+-]{4,62}$/.test(phone)
  const phone = [head(typed, 64), head(known, 64).replace(/^whatsapp:/, '')].find(fits)
  if (phone) return { user_phone: phone }
  return email ? { user_phone_as_typed: head(typed, 64) } : { user_phone: head(typed, 64) }
}

// Values for the help desk's own ticket fields, as the flow filled them in: text, numbers, true or false.
const ticketFields = (values) => {
  const kept = {}
  const cleaned = (_name, part) => (typeof part === 'string' ? clean(part) : part)
  let room = FIELDS_BYTES
  for (const name of (values && typeof values === 'object' && read(() => Object.keys(values))) || []) {
    const value = read(() => JSON.parse(JSON.stringify(values[name], cleaned)))
    const bytes = utf8Bytes(JSON.stringify({ [name]: value }))
    if (value === undefined || value === null || value === '') continue
    if (bytes > room) say('warn', 'too large, not sent / demasiado grande, no se mandó:', head(name, 80))
    if (bytes > room) continue
    room -= bytes
    kept[head(name, 80)] = value
  }
  return kept
}

// A list, or text with commas.
const tagList = (value) =>
  (Array.isArray(value) ? value : toText(value).split(','))
    .map((tag) => head(tag, 32))
    .filter(Boolean)
    .slice(0, 10)

// How often this request was sent, so that the flow can stop asking.
const triesOf = (saved, key, tries) => (key && saved.split('|')[0] === key && Number(tries) > 0 ? Number(tries) + 1 : 1)

// The secret never travels in clear text, except to this very machine while testing.
const isSafeUrl = (url) => /^(https:\/\/|http:\/\/(localhost|127\.0\.0\.1|\[::1\])[:/])[^\s]*$/i.test(url + '/')

const pause = (ms) =>
  new Promise((resolve) => {
    if (!read(() => after(ms, resolve))) resolve()
  })

// axios' own time-out does not cover a connection that is never answered; this one covers all.
const within = (ms, work) =>
  new Promise((resolve, reject) => {
    const stop = read(() => after(ms, () => reject({ code: 'ETIMEDOUT' })))
    work.then(resolve, reject).then(() => read(() => stop()))
  })

const faultOutcome = (fault) => {
  const code = head(read(() => fault.code), 40)
  if (code === 'ERR_INVALID_URL') return { error: 'configuration', again: false, detail: SETTINGS.url }
  const late = code === 'ECONNABORTED' || code === 'ETIMEDOUT' || code === 'ESOCKETTIMEDOUT'
  return { error: late ? 'timeout' : 'network', again: true, detail: code }
}

const fieldToAsk = (errors) => {
  const names = (Array.isArray(errors) ? errors : []).map((error) =>
    toText(read(() => error.field)).replace(/^[$./]+/, '')
  )
  const askable = names.find((name) => name === 'user_email' || name === 'user_phone')
  return head(askable || names.find((name) => /^[a-z_]+$/.test(name)), 40)
}

// What an answer means. A proxy, a gateway or the platform can answer in the function's place, also
// in JSON with a `message`: only an answer in the function's own shape is taken at its word.
const answerOutcome = (answer) => {
  const status = answer.status
  const data = read(() => answer.data) || {}
  const message = head(data.message, 1000)
  const ticketId = head(data.ticket_id, 40)
  const reference = head(data.reference, 40)
  if (status >= 200 && status < 300 && typeof data.status === 'string' && (ticketId || reference)) {
    return { ok: true, error: '', ticketId, reference, message }
  }
  if (typeof data.retryable === 'boolean' && /^[a-z-]{1,40}$/.test(data.code)) {
    const wait = Number(read(() => answer.headers['retry-after'])) * 1000
    return { error: data.code, again: data.retryable, wait, reference, message, field: fieldToAsk(data.errors) }
  }
  const passing = status === 408 || status === 425 || status === 429 || status >= 500 || (status >= 200 && status < 300)
  return { error: 'http_' + status, again: passing }
}

const call = async (axios, target, timeout) => {
  try {
    const headers = { Authorization: 'Bearer ' + target.token, 'Content-Type': 'application/json' }
    if (target.key) headers['Idempotency-Key'] = target.key
    const settings = { headers, timeout, maxRedirects: 0, maxContentLength: 1000000, validateStatus: () => true }
    return answerOutcome(await within(timeout + 500, axios.post(target.url, target.body, settings)))
  } catch (fault) {
    return faultOutcome(fault)
  }
}

// Which setting nobody filled in, or filled in wrongly, for the log: its name, never its value.
const settingFault = ({ url, token }) => {
  const missing = [!url && SETTINGS.url, !token && SETTINGS.token].filter(Boolean)
  if (missing.length) return 'missing / falta: ' + missing.join(', ')
  if (!isSafeUrl(url)) return SETTINGS.url + ': not https:// / no es https://'
  return /^[\x21-\x7e]+$/.test(token) ? '' : SETTINGS.token + ': spaces or accents / espacios o acentos'
}

// One call, and one more if the first may pass; both within BUDGET_MS of `target.started`.
const deliver = async (axios, target) => {
  const detail = settingFault(target) || (axios ? '' : 'axios')
  if (detail) return { error: 'configuration', again: false, detail }
  const first = await call(axios, target, TIMEOUT_MS)
  const wait = Math.min(Math.max(first.wait || 0, PAUSE_MS), LONGEST_PAUSE_MS)
  const left = BUDGET_MS - (Date.now() - target.started) - wait
  if (first.ok || !first.again || left < 1000) return first
  say('warn', first.error, first.detail || '', 'trying once more')
  await pause(wait)
  return call(axios, target, Math.min(TIMEOUT_MS, left))
}

const sentence = (outcome, language) => {
  const known = SENTENCES[language.slice(0, 2).toLowerCase()] || SENTENCES.es
  if (outcome.message) return outcome.message
  if (outcome.ok) return known.kept + ' ' + (outcome.ticketId || outcome.reference) + '.'
  return outcome.field ? known.field : known.failed
}

const toResult = (outcome, language) => ({
  ticketOk: outcome.ok === true,
  ticketId: outcome.ticketId || '',
  ticketReference: outcome.reference || '',
  ticketMessage: sentence(outcome, language),
  ticketError: outcome.error,
  ticketField: outcome.field || ''
})

const UNFINISHED = { error: 'unexpected' }
// ── end of the shared part ─────────────────────────────────────────────────────────────────────

const after = (ms, ring) => {
  const timer = setTimeout(ring, ms)
  return () => clearTimeout(timer)
}

// Flows keep a captured value wherever their builder put it: the action's arguments, temp, session or user.
const captured = (name) =>
  [() => args[name], () => temp[name], () => session[name], () => user[name]].map(read).find(Boolean)

const keep = (place, name, value) => read(() => { place()[name] = value })

const language = () => head(read(() => user.language) || read(() => event.nlu.language), 35) || 'es'

// v12 keeps the last five turns only, and writes a turn down once for each reply: the person's line comes
// again with every one. A reply that is not text is a name like #!builtin_single-choice-mrFFU_, which tells nobody anything.
const lastTurns = () => {
  const turns = read(() => session.lastMessages)
  const lines = []
  let before = {}
  for (const turn of Array.isArray(turns) ? turns : []) {
    const said = head(read(() => turn.incomingPreview), 2000)
    const reply = head(read(() => turn.replyPreview), 2000)
    const id = toText(read(() => turn.eventId))
    const sameTurn = id ? id === before.id : said === before.said
    const replies = sameTurn ? before.replies : []
    if (said && !sameTurn) lines.push('Persona: ' + said)
    if (reply && !/^#!/.test(reply) && !replies.includes(reply)) lines.push('Bot: ' + reply)
    before = { id, said, replies: replies.concat(reply) }
  }
  return lines
}

const handoffFields = () => {
  const email = head(captured('user_email') || captured('email'), 400) // longer than allowed: refused, not altered
  const reason = head(captured('reason'), 2000)
  const said = head(read(() => event.preview), 8000)
  return {
    bot: head(read(() => process.env.EXPOSED_CONTACT_BOT), 64),
    category: head(captured('category'), 80) || NO_CATEGORY,
    user_email: email,
    user_name: head(personName(captured('user_name')), 120),
    ...phoneFields(email, captured('user_phone')),
    reason,
    conversation_summary: head(captured('conversation_summary'), 8000) || reason || said || NO_SUMMARY,
    conversation_transcript: tail(read(lastTurns), 60000),
    conversation_id: head(read(() => event.threadId), 128),
    message_id: head(read(() => event.id), 128),
    user_id: head(read(() => event.target), 128),
    bot_id: head(read(() => event.botId), 128),
    channel: head(read(() => event.channel), 64),
    language: language(),
    tags: tagList(captured('tags')),
    fields: ticketFields(captured('fields'))
  }
}

const keepResult = (result) => {
  for (const name of Object.keys(result)) keep(() => temp, name, result[name])
}

const run = async () => {
  const started = Date.now()
  keepResult(toResult(UNFINISHED, language())) // should the turn be ended before the card is
  const body = toBody(handoffFields())
  const saved = head(read(() => session.contactKey), 5000)
  const key = requestKey(saved, body.conversation_id || '', body.message_id || '')
  keep(() => session, 'contactTries', triesOf(saved, key, read(() => session.contactTries)))
  keep(() => session, 'contactKey', key)
  const url = head(read(() => process.env.EXPOSED_CONTACT_URL), 2000)
  const token = head(read(() => process.env.EXPOSED_CONTACT_TOKEN), 1000)
  if (!body.bot) say('warn', 'missing / falta:', SETTINGS.bot)
  const outcome = await deliver(axios, { url, token, key, body, started })
  if (outcome.ok && key) keep(() => session, 'contactKey', key + '|' + encodeURIComponent(body.message_id || ''))
  return outcome
}

const contacto = async () => {
  const outcome = await run().catch(() => UNFINISHED)
  keepResult(toResult(outcome, language()))
  say(outcome.ok ? 'log' : 'error', outcome.ok ? 'kept' : outcome.error, outcome.detail || '', outcome.reference || '')
}

return contacto()
