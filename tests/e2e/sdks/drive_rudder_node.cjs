// Gives @rudderstack/rudder-sdk-node what a file says, as a shop's backend would: node drive_rudder_node.cjs TASK.json
// Each line that it prints is JSON: how many calls the library has been given so far, at last the message ids in the
// order of the calls and what the library reported. The library does not tell the ids that it makes up, so they are
// given to it here.
const { randomUUID } = require('node:crypto')
const { readFileSync } = require('node:fs')
const { setTimeout: sleep } = require('node:timers/promises')
const Analytics = require('@rudderstack/rudder-sdk-node')

const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())

async function main(task) {
  const asked = JSON.parse(readFileSync(task, 'utf8'))
  const failures = []
  const client = new Analytics(asked.key, {
    dataPlaneUrl: asked.host,
    logLevel: 'silent',
    errorHandler: (error) => failures.push(String(error)), // without one a final failure ends the process
    ...asked.settings,
  })
  const ids = []
  let open = asked.calls.length
  for (const [index, call] of asked.calls.entries()) {
    const message = { messageId: randomUUID() }
    for (const [name, value] of Object.entries(call)) if (name !== 'does') message[camel(name)] = value
    message.timestamp = new Date(message.timestamp)
    ids.push(message.messageId)
    client[call.does](message, () => (open -= 1))
    if ((index + 1) % 20 === 0) say({ given: index + 1 })
    await sleep(asked.pause * 1000)
  }
  while (open > 0) {
    await client.flush()
    await sleep(50)
  }
  say({ ids, failures })
}

main(process.argv[2])
