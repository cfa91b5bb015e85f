// Runs a card as Botpress Studio does, without Studio: for the tests and for the chat page of the
// stand-in, so that what is shown is what ships.
//
//   echo '{"card": "botpress/contacto.js", "globals": {"event": {…}, "workflow": {…}, "env": {…}}}' \
//     | node botpress/studio.mjs
//
// in   card       path, as seen from here or from the project's root
//      globals    Cloud: event, workflow, conversation, user, bot, env
//                 v12:   event, args, user, session, temp, bot, env (only names with EXPOSED_ pass)
//      mode       "cloud" (default) or "v12"
//      axios      package of tests/botpress/node: "axios", "axios-old"; "built-in"; null: what is installed
//      client     null: "Use the Botpress Client" is off; {"messages": […]}: what listMessages gives, newest first, in
//                 pages of `page_size` (20), each after `ms`; page `throws_at` fails, page `hangs_at` never comes;
//                 {"api_url": "http://127.0.0.1:…"}: Botpress' own client, asking there
//      undeclared names of workflow variables the builder forgot to declare
//      turn_s     the turn's limit in seconds, 60
// out  workflow (v12: temp, session), logs, error (null, or what the card threw), calls
//      [{status, body, error, key, sent}], asked (of listMessages), axios (version), ms. Exit 0 also when the card threw.

import { existsSync, readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { createRequire } from 'node:module'
import { dirname, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import vm from 'node:vm'

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const TEXT = 'string'

// The workflow variables README tells to declare, with the type Studio holds them to. From contactKey on they
// are those of older flows: newer ones have them as fields of contacto.
export const VARIABLES = {
  category: TEXT,
  reason: TEXT,
  user_email: TEXT,
  user_name: 'any', // String, or the object of Capture Information → Person
  user_phone: TEXT,
  contacto: 'object',
  contactKey: TEXT,
  contactTries: 'number',
  ticketOk: 'boolean',
  ticketId: TEXT,
  ticketReference: TEXT,
  ticketMessage: TEXT,
  ticketError: TEXT,
  ticketField: TEXT
}

const typeName = (value) => (value === null || typeof value === 'object' ? 'any' : typeof value)

/** Studio's typed variables: an unknown name and a value of the wrong type both throw. */
export function typedVariables (given, undeclared = []) {
  const entries = Object.entries(given).filter(([name]) => !undeclared.includes(name))
  const types = { ...Object.fromEntries(entries.map(([name, value]) => [name, typeName(value)])), ...VARIABLES }
  for (const name of undeclared) delete types[name]
  const known = (name) => {
    if (!Object.hasOwn(types, name)) throw new ReferenceError(`workflow.${name} is not declared`)
  }
  return new Proxy(Object.fromEntries(entries), {
    get: (values, name) => {
      if (typeof name === 'symbol') return undefined
      known(name)
      return values[name]
    },
    set: (values, name, value) => {
      known(name)
      if (types[name] !== 'any' && typeof value !== types[name]) {
        throw new TypeError(`workflow.${name} holds a ${types[name]}, not a ${typeof value}`)
      }
      values[name] = value
      return true
    }
  })
}

const fault = (code, message) => Object.assign(new Error(message), { code, isAxiosError: true })

const parsed = (text) => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** As much of axios.post as the cards need, where no axios is installed. */
export function builtInPost (url, data, settings = {}) {
  return new Promise((resolvePost, reject) => {
    const text = JSON.stringify(data)
    const headers = { 'Content-Length': Buffer.byteLength(text), Accept: 'application/json', ...settings.headers }
    const request = (url.startsWith('https:') ? https : http).request(url, { method: 'POST', headers })
    request.setTimeout(settings.timeout || 0, () => {
      reject(fault('ECONNABORTED', `timeout of ${settings.timeout}ms exceeded`))
      request.destroy()
    })
    request.on('error', (error) => reject(fault(error.code, error.message)))
    request.on('response', (response) => {
      const chunks = []
      let size = 0
      response.on('data', (chunk) => {
        chunks.push(chunk)
        size += chunk.length
        if (size > (settings.maxContentLength || Infinity)) request.destroy(fault('ERR_BAD_RESPONSE', 'too large'))
      })
      response.on('error', (error) => reject(fault(error.code, error.message)))
      response.on('end', () => {
        const answer = { status: response.statusCode, headers: response.headers, data: parsed(Buffer.concat(chunks).toString()) }
        const fine = settings.validateStatus || ((status) => status >= 200 && status < 300)
        if (fine(answer.status)) resolvePost(answer)
        else reject(Object.assign(fault('ERR_BAD_RESPONSE', `status ${answer.status}`), { response: answer }))
      })
    })
    request.end(text)
  })
}

/** The axios to run with: the installed package of that name, else the built-in. */
export function findAxios (name) {
  if (name !== 'built-in') {
    try {
      const required = createRequire(resolve(ROOT, 'tests', 'botpress', 'node', 'package.json'))
      const wanted = name || 'axios'
      return { axios: required(wanted), version: required(`${wanted}/package.json`).version }
    } catch {
      // not installed: the card needs no more than the built-in has
    }
  }
  return { axios: { post: builtInPost }, version: 'built-in' }
}

const recorded = (axios, calls) => ({
  post: async (url, data, settings) => {
    const call = { status: null, body: null, error: null, key: settings?.headers?.['Idempotency-Key'] ?? null, sent: data }
    calls.push(call)
    try {
      const answer = await axios.post(url, data, settings)
      Object.assign(call, { status: answer.status, body: answer.data })
      return answer
    } catch (error) {
      call.error = error.code || error.message
      throw error
    }
  }
})

const recordingConsole = (logs) => {
  const level = (name) => (...words) => logs.push(`${name}: ${words.map(String).join(' ')}`.trim())
  return { log: level('log'), info: level('info'), warn: level('warn'), error: level('error'), debug: level('debug') }
}

// The two pieces of lodash the card uses.
const lodash = {
  delay: (ring, ms) => setTimeout(ring, ms),
  debounce: (ring, ms) => {
    let timer
    const bell = () => {
      clearTimeout(timer)
      timer = setTimeout(ring, ms)
    }
    bell.cancel = () => clearTimeout(timer)
    return bell
  }
}

const cloudNames = (globals, axios, undeclared) => ({
  ...globals,
  ...(globals.workflow ? { workflow: typedVariables(globals.workflow, undeclared) } : {}),
  axios,
  _: lodash
})

const v12Names = ({ env = {}, ...globals }, axios) => ({
  ...globals,
  process: { env: Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith('EXPOSED_'))) },
  require: (name) => {
    if (name === 'axios') return axios
    throw new Error(`Cannot find module '${name}'`)
  },
  setTimeout,
  clearTimeout
})

/** What `client` is in a card: a list of messages, or Botpress' own client against another address. */
export function makeClient ({ messages = [], page_size = 20, ms = 0, throws_at = 0, hangs_at = 0, api_url }, asked) {
  if (api_url) {
    const { Client } = createRequire(resolve(ROOT, 'tests', 'botpress', 'node', 'package.json'))('@botpress/client')
    return new Client({ apiUrl: api_url, token: 'local', botId: 'bot_1' })
  }
  return {
    listMessages: async (query) => {
      asked.push(query)
      if (asked.length === hangs_at) await new Promise(() => {})
      if (ms) await new Promise((ring) => setTimeout(ring, ms))
      if (asked.length === throws_at) throw Object.assign(new Error('ana@example.com not found'), { code: 404 })
      const start = Number(query.nextToken || 0)
      const end = start + page_size
      const meta = end < messages.length ? { nextToken: String(end) } : {}
      return { messages: messages.slice(start, end), meta }
    }
  }
}

const overTime = (seconds) =>
  new Promise((_resolve, reject) => {
    setTimeout(() => reject(new Error(`the turn took longer than ${seconds} s`)), seconds * 1000)
  })

/**
 * Runs a card's text as the body of an async function. It sees the language's own names and those
 * given, nothing else: no fetch, process, Buffer, require or timers, unless Studio has them.
 */
export async function runCard (source, { globals = {}, mode = 'cloud', axios = null, client = null, undeclared = [], turn_s = 60 }) {
  const calls = []
  const asked = []
  const logs = []
  const found = findAxios(axios)
  const post = recorded(found.axios, calls)
  const names = mode === 'v12' ? v12Names(globals, post) : cloudNames(globals, post, undeclared)
  if (client) names.client = makeClient(client, asked)
  const context = vm.createContext({ ...names, console: recordingConsole(logs) })
  const started = Date.now()
  let error = null
  try {
    const code = `(async function __ROOT__() { 'use strict';\n${source}\n})()`
    await Promise.race([vm.runInContext(code, context), overTime(turn_s)])
  } catch (thrown) {
    error = String(thrown?.stack || thrown)
  }
  const state = mode === 'v12' ? { temp: names.temp, session: names.session } : {}
  const ms = Date.now() - started
  return { workflow: { ...names.workflow }, ...state, logs, error, calls, asked, axios: found.version, ms }
}

const withoutProxy = () => {
  for (const name of Object.keys(process.env)) if (/^https?_proxy$/i.test(name)) delete process.env[name]
}

async function main () {
  withoutProxy()
  const input = JSON.parse(readFileSync(0, 'utf8'))
  const path = existsSync(input.card) ? input.card : resolve(ROOT, input.card)
  const result = await runCard(readFileSync(path, 'utf8'), input)
  process.stdout.write(JSON.stringify(result) + '\n', () => process.exit(0))
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main()
