// Gives @segment/analytics-node what a file says, as a shop's backend would: node drive_segment_node.cjs TASK.json
// Each line that it prints is JSON: how many calls the library has been given so far, at last the message ids in the
// order of the calls and what the library reported.
const { readFileSync } = require('node:fs')
const { setTimeout: sleep } = require('node:timers/promises')
const { Analytics } = require('@segment/analytics-node')

const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())

async function main(task) {
  const asked = JSON.parse(readFileSync(task, 'utf8'))
  const failures = []
  const client = new Analytics({ writeKey: asked.key, host: asked.host, ...asked.settings })
  client.on('error', (error) => failures.push(String(error.reason ?? error)))
  const ids = []
  for (const [index, call] of asked.calls.entries()) {
    const message = {}
    for (const [name, value] of Object.entries(call)) if (name !== 'does') message[camel(name)] = value
    message.timestamp = new Date(message.timestamp)
    client[call.does](message, (error, context) => {
      if (error) failures.push(String(error))
      ids[index] = context.event.messageId
    })
    if ((index + 1) % 20 === 0) say({ given: index + 1 })
    await sleep(asked.pause * 1000)
  }
  await client.closeAndFlush({ timeout: 120_000 })
  say({ ids, failures })
}

main(process.argv[2])
