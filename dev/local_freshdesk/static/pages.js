// The pages work without this file. It refreshes the inbox in place, shows that the bot is writing,
// and looks again until a queued request has its ticket.
'use strict'

async function fresh (selectors) {
  const answer = await fetch(location.href, { headers: { Accept: 'text/html' } })
  if (!answer.ok) return
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
  for (const selector of selectors) {
    const now = document.querySelector(selector)
    const next = page.querySelector(selector)
    const busy = now && now.contains(document.activeElement)
    if (now && next && !busy && now.innerHTML !== next.innerHTML) now.replaceWith(next)
  }
}

function every (ms, look) {
  const again = async () => {
    if (!document.hidden) await look().catch(() => {})
    setTimeout(again, ms)
  }
  setTimeout(again, ms)
}

const list = document.querySelector('[data-refresh]')
if (list) every(Number(list.dataset.refresh), () => fresh(['#tickets', '#sky', '.tabs']))

const outcome = document.querySelector('[data-outcome]')
if (outcome) {
  let waiting = Infinity
  every(2000, async () => {
    if (waiting === 0) return
    const left = (await (await fetch(outcome.dataset.outcome)).json()).waiting
    if (left < waiting) await fresh(['#conversacion'])
    waiting = left
  })
}

for (const form of document.querySelectorAll('form[data-busy]')) {
  form.addEventListener('submit', () => {
    const bubbles = document.querySelector('.bubbles')
    const bubble = document.createElement('p')
    bubble.className = 'bubble bot typing'
    bubble.textContent = form.dataset.busy
    bubbles.append(bubble)
    bubble.scrollIntoView({ block: 'nearest' })
    for (const button of document.querySelectorAll('form[data-busy] button')) button.disabled = true
  })
}
// Back from the browser's history: the buttons must work again.
addEventListener('pageshow', (event) => { if (event.persisted) location.reload() })
