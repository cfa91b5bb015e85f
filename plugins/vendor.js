'use strict'
// Before packaging: scripts/vendor.py fills vendor/ with the wheels of the function's own Python and CPU,
// so that `npx serverless deploy` stays the one command.

const { spawnSync } = require('node:child_process')

class Vendor {
  constructor (serverless) {
    this.serverless = serverless
    this.hooks = {
      'before:package:createDeploymentArtifacts': () => this.build(),
      'before:deploy:function:packageFunction': () => this.build()
    }
  }

  build () {
    const { serviceDir, service } = this.serverless
    const { runtime, architecture } = service.provider
    const words = ['-m', 'scripts.vendor', '--runtime', runtime, '--arch', architecture]
    const result = spawnSync(this.python(runtime), words, { cwd: serviceDir, stdio: ['ignore', 'inherit', 'inherit'] })
    if (result.status !== 0) this.fail(`scripts/vendor.py failed: ${result.error || `exit ${result.status}`}`)
  }

  // The function's own Python by preference: only that one can compile its bytecode.
  python (runtime) {
    const wishes = [process.env.PYTHON, runtime, 'python3'].filter(Boolean)
    const found = wishes.find((name) => spawnSync(name, ['-m', 'pip', '--version'], { stdio: 'ignore' }).status === 0)
    return found || this.fail(`no Python with pip found; tried ${wishes.join(', ')}`)
  }

  fail (message) {
    throw new this.serverless.classes.Error(message, 'VENDOR_FAILED')
  }
}

module.exports = Vendor
