// Contacto · tarjeta Execute Code para Botpress Cloud.
//   Convierte la conversación en un ticket de Freshdesk y le dice a la persona su número.
//   Pegala entera en una tarjeta «Execute Code» del flujo «Contacto». No hace falta cambiar nada acá:
//   la dirección, la clave y el bot se leen de las variables de configuración. Guía: README.es.md.
//
// Contacto · Execute Code card for Botpress Cloud.
//   Turns the conversation into a Freshdesk ticket and tells the person its number.
//   Paste it whole into an "Execute Code" card of the "Contacto" flow. Nothing needs changing here:
//   address, secret and bot are read from the configuration variables. Guide: README.md.
//
// It never throws: an uncaught error would end the conversation. Whatever happens, it fills in the Object
// variable workflow.contacto:
//   ticketOk         true: the request is kept (a ticket number, or a reference while it is on its way)
//   ticketId         the ticket number, '' while there is none
//   ticketReference  BF-7K3QX2AB
//   ticketMessage    a sentence to show the person as it is
//   ticketError      '' or a short code; README lists them
//   ticketField      the variable to ask for again (user_email), or ''
//   contactKey       what makes a replay and a retry the same request; the flow empties it with contacto = {}
//   contactTries     how often this request was sent
// A flow that declares these eight one by one, as older guides said, goes on working: both are filled in.

const TIMEOUT_MS = 20000 // one call; the function itself always answers within 12 s
const BUDGET_MS = 45000 // everything the card does; Botpress ends a turn after 60 s
const HISTORY_MS = 5000 // of it, at most this for reading the conversation
const HISTORY_PAGES = 100
const TRANSCRIPT = 60000 // characters the function keeps, the newest
const PAUSE_MS = 2000 // before the second and last call
const LONGEST_PAUSE_MS = 5000 // of a longer Retry-After only this much is waited
const UTC_OFFSET_H = -3 // the times in the transcript: Argentina
const SETTINGS = { url: 'CONTACT_URL', token: 'CONTACT_TOKEN', bot: 'CONTACT_BOT' }

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

// Timers are no documented global of Studio; lodash is, and its debounce is one that can be stopped.
const after = (ms, ring) => {
  const bell = _.debounce(ring, ms)
  bell()
  return bell.cancel
}

// A value by the first of its names that holds one; a name Studio does not know counts as empty. A variable
// of its own comes first: that is where Capture Information puts what the person typed last.
const isObject = (value) => Boolean(value) && typeof value === 'object'
const contacto = () => read(() => workflow.contacto)
const captured = (...names) =>
  [(name) => workflow[name], (name) => contacto()[name]]
    .map((place) => names.map((name) => read(() => place(name))).find(Boolean))
    .find(Boolean)

const works = (step) => {
  try {
    step()
    return true
  } catch (fault) {
    return false
  }
}

const refused = []
const keep = (values) => {
  const old = (isObject(contacto()) && read(() => ({ ...contacto() }))) || {}
  const names = Object.keys(values).filter((name) => !works(() => { workflow[name] = values[name] }))
  if (!works(() => { workflow.contacto = { ...old, ...values } })) refused.push(...names)
}

// The flow starts a new request with contacto = {}, an older one with contactKey = ''.
const savedKey = () => {
  const emptied = read(() => workflow.contactKey) === '' || (isObject(contacto()) && !read(() => contacto().contactKey))
  return emptied ? '' : head(captured('contactKey'), 5000)
}

// ── the conversation: what was said, and the files the person sent ──

const FILES = [
  { field: 'imageUrl', word: 'imagen' },
  { field: 'audioUrl', word: 'audio' },
  { field: 'videoUrl', word: 'video' },
  { field: 'fileUrl', word: 'archivo' }
]

const textOf = (thing, ...names) => names.map((name) => head(read(() => thing[name]), 10000)).find(Boolean) || ''
const labelled = (word, ...details) => '[' + [word, details.filter(Boolean).join(', ')].filter(Boolean).join(': ') + ']'

const toFile = (payload, { field }) => {
  const url = head(payload[field], 4000)
  const inUrl = read(() => decodeURIComponent(url.match(/\/([^/?#]+\.[a-z0-9]{2,5})(?:[?#]|$)/i)[1]))
  const name = head(textOf(payload, 'filename', 'fileName', 'name', 'title') || inUrl, 120)
  const type = head(textOf(payload, 'mimeType', 'contentType'), 100)
  const size = Math.round(Number(textOf(payload, 'size', 'fileSize'))) || 0
  return { url, ...(name && { name }), ...(type && { type }), ...(size > 0 && { size }) }
}

// The pieces of a message: `said` is the person's or the bot's own text, `shown` stands for anything else.
const toPieces = (type, payload, incoming) => {
  const items = read(() => payload.items)
  if (Array.isArray(items)) {
    return items.reduce((all, item) => {
      const inner = read(() => item.payload)
      return all.concat(inner ? toPieces(textOf(item, 'type'), inner, incoming) : toPieces('card', item, incoming))
    }, [])
  }
  const said = textOf(payload, 'text', 'markdown', 'caption')
  if (type === 'card' || Array.isArray(read(() => payload.actions))) {
    return [{ shown: labelled('tarjeta', textOf(payload, 'title'), textOf(payload, 'subtitle')) }]
  }
  const found = FILES.find(({ field }) => textOf(payload, field))
  if (found) {
    const file = toFile(payload, found)
    return [{ shown: labelled(found.word, file.name), file }, { said }].filter((piece) => piece.shown || piece.said)
  }
  if (textOf(payload, 'latitude')) {
    const place = textOf(payload, 'latitude') + ' ' + textOf(payload, 'longitude')
    return [{ shown: labelled('ubicación', textOf(payload, 'title'), textOf(payload, 'address'), place) }]
  }
  const options = read(() => payload.options)
  if (Array.isArray(options)) {
    const labels = options.slice(0, 30).map((option) => textOf(option, 'label', 'value'))
    return [{ said }, { shown: labelled('opciones', ...labels) }].filter((piece) => piece.shown || piece.said)
  }
  const value = textOf(payload, 'value')
  if (incoming && value) return [{ shown: labelled('opción elegida', said || textOf(payload, 'label', 'title') || value) }]
  return said ? [{ said }] : []
}

const toEntry = (message, incoming) => {
  const type = textOf(message, 'type')
  const pieces = toPieces(type, message.payload, incoming)
  const at = new Date(message.createdAt).getTime()
  return { id: message.id, at, incoming, pieces: pieces.length ? pieces : [{ shown: labelled(type || 'mensaje') }] }
}

const sameWords = (one, other) => JSON.stringify(one.pieces) === JSON.stringify(other.pieces)

// The whole conversation through Botpress' own client, newest message first; null where it is switched off
// in Bot Settings or cannot be read. What was read before a fault or the end of the time counts.
const readHistory = async () => {
  const conversationId = read(() => event.conversationId)
  const list = read(() => client.listMessages)
  const canStop = typeof read(() => _.debounce) === 'function' // a client that never answers must not hold up the card
  if (!conversationId || typeof conversationId !== 'string' || typeof list !== 'function' || !canStop) return null
  const until = Date.now() + HISTORY_MS
  const tokens = []
  const entries = []
  let length = 0
  let answered = false
  try {
    do {
      const next = tokens[tokens.length - 1]
      const query = next ? { conversationId, nextToken: next } : { conversationId }
      const asked = Promise.resolve().then(() => client.listMessages(query))
      const page = await within(Math.max(until - Date.now(), 1), asked)
      answered = true
      for (const message of page.messages) {
        if (!isObject(message) || (message.conversationId && message.conversationId !== conversationId)) continue
        if (entries.some((entry) => entry.id && entry.id === message.id)) continue
        const incoming = message.direction ? message.direction === 'incoming' : message.userId === read(() => event.userId)
        const entry = toEntry(message, incoming)
        length += entry.pieces.reduce((sum, { said, shown }) => sum + (said || shown).length, 20)
        entries.push(entry)
      }
      const token = read(() => page.meta.nextToken)
      if (!token || tokens.includes(token) || length > TRANSCRIPT) return entries
      tokens.push(token)
    } while (tokens.length < HISTORY_PAGES && Date.now() < until)
    say('warn', 'the conversation was too long to read it whole / no dio el tiempo para leer toda la conversación')
  } catch (fault) {
    say('warn', 'the conversation was not read whole / no se pudo leer toda la conversación:', faultOutcome(fault).detail || '')
  }
  return answered ? entries : null
}

// Oldest first; the message of this very turn, which Botpress may not list yet, is added.
const inOrder = (entries) => {
  const own = {
    id: read(() => event.messageId),
    at: new Date(read(() => event.createdOn)).getTime(),
    incoming: true,
    pieces: toPieces(textOf(read(() => event), 'type'), read(() => event.payload), true)
  }
  if (!own.pieces.length) own.pieces = [{ said: head(read(() => event.preview), 8000) }].filter(({ said }) => said)
  const newest = entries.find((entry) => entry.incoming)
  const listed = entries.some(({ id }) => id && id === own.id) || (newest && sameWords(newest, own))
  const all = entries.slice().reverse().concat(own.pieces.length && !listed ? own : [])
  all.forEach((entry, i) => {
    entry.at = entry.at || (i && all[i - 1].at) // a time that is missing is that of the message before
  })
  return all.sort((one, other) => one.at - other.at)
}

// The person's last own words. An address they were asked for is none, as long as there is something else.
const lastWords = (all, asked) => {
  const theirs = all.filter((entry) => entry.incoming).reverse()
  const words = theirs.map(({ pieces }) => pieces.map(({ said }) => said).filter(Boolean).join('\n')).filter(Boolean)
  const things = theirs.map(({ pieces }) => pieces.map(({ shown }) => shown).filter(Boolean).join('\n'))
  return words.find((text) => !asked.includes(text)) || things.find(Boolean) || words[0] || ''
}

// The newest ten files the person sent; of longer addresses than 2,000 characters the function makes nothing.
const filesOf = (all) => {
  const files = []
  const isNew = (file) => /^https?:\/\/\S{1,1990}$/i.test(file.url) && !files.some(({ url }) => url === file.url)
  for (const { pieces } of all.filter(({ incoming }) => incoming).reverse()) {
    for (const { file } of pieces) if (file && isNew(file)) files.push(file)
  }
  return files.slice(0, 10)
}

// «[2026-11-25 14:03] Persona: …»; a file that is not among the ten shows its address. Lines after the first
// begin with «…», so that nobody can write a line that looks like the bot's.
const toLine = ({ at, incoming, pieces }, files) => {
  const time = at ? read(() => new Date(at + UTC_OFFSET_H * 3600000).toISOString().slice(0, 16).replace('T', ' ')) : ''
  const words = pieces.map(({ said, shown, file }) => {
    const linked = incoming && file && !files.some(({ url }) => url === file.url)
    return said || (linked ? shown + ' ' + file.url : shown)
  })
  const text = words.join(' ').replace(/\s*[\r\n\u2028\u2029]+\s*/g, '\n… ')
  return (time ? '[' + time + '] ' : '') + (incoming ? 'Persona: ' : 'Bot: ') + text
}

const language = () => head(read(() => user.TranslatorAgent.language), 35) || 'es'

const handoffFields = (history) => {
  const all = inOrder(history || [])
  const attachments = filesOf(all)
  const told = history && all.map((entry) => toLine(entry, attachments)).join('\n')
  const email = head(captured('user_email', 'userEmail'), 400) // longer than allowed: refused, not altered
  const phone = captured('user_phone', 'userPhone')
  const name = head(personName(captured('user_name', 'userName')), 120)
  const reason = head(captured('reason'), 2000)
  const summary = head(read(() => conversation.SummaryAgent.summary), 8000)
  const said = head(lastWords(all, [email, head(phone, 64), name]), 8000)
  const conversationId = head(read(() => event.conversationId), 128)
  const link = head(read(() => env.CONTACT_CONVERSATION_URL), 500)
  return {
    bot: head(read(() => env.CONTACT_BOT), 64),
    category: head(captured('category'), 80) || NO_CATEGORY,
    user_email: email,
    user_name: name,
    ...phoneFields(email, phone, read(() => event.tags.conversation['whatsapp:userPhone'])),
    reason,
    conversation_summary: summary || reason || said || NO_SUMMARY,
    conversation_transcript: tail(told || read(() => conversation.SummaryAgent.transcript), TRANSCRIPT),
    conversation_id: conversationId,
    conversation_url: link.replace('{conversation_id}', () => encodeURIComponent(conversationId)),
    message_id: head(read(() => event.messageId), 128) || head(read(() => event.id), 128),
    user_id: head(read(() => event.userId), 128),
    bot_id: head(read(() => event.botId), 128),
    channel: head(read(() => event.integration) || read(() => event.channel), 64),
    language: language(),
    attachments,
    tags: tagList(captured('tags')),
    fields: ticketFields(captured('fields'))
    // More to tell the agent? Add it here; it shows in the ticket under "Otros datos":
    // numero_de_apuesta: head(captured('numero_de_apuesta'), 200)
  }
}

const run = async () => {
  const started = Date.now()
  const saved = savedKey()
  keep(toResult(UNFINISHED, language())) // should the turn be ended before the card is
  const history = await readHistory()
  const body = toBody(read(() => handoffFields(history)) || handoffFields(null)) // no message may stop the request
  const key = requestKey(saved, body.conversation_id || '', body.message_id || '')
  keep({ contactTries: triesOf(saved, key, captured('contactTries')), contactKey: key })
  const url = head(read(() => env.CONTACT_URL), 2000)
  const token = head(read(() => env.CONTACT_TOKEN), 1000)
  if (!body.bot) say('warn', 'missing / falta:', SETTINGS.bot)
  const outcome = await deliver(read(() => axios), { url, token, key, body, started })
  if (outcome.ok && key) keep({ contactKey: key + '|' + encodeURIComponent(body.message_id || '') })
  return outcome
}

let outcome
try {
  outcome = await run()
} catch (fault) {
  outcome = UNFINISHED
}
keep(toResult(outcome, language()))

// One line for the logs of Studio: never what the person said, never the secret.
say(outcome.ok ? 'log' : 'error', outcome.ok ? 'kept' : outcome.error, outcome.detail || '', outcome.reference || '')
if (refused.length) {
  const names = Array.from(new Set(refused)).join(', ')
  say('error', 'declare workflow.contacto as an Object / declará workflow.contacto como Object; not kept / sin guardar:', names)
}
