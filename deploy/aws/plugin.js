'use strict'
// Before packaging: has the routing checked, and vendor/ filled with the wheels of the function's own Python and CPU,
// so that `npx serverless deploy` stays the one command.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

class Vendor {
  constructor (serverless) {
    this.serverless = serverless
    const prepare = () => { this.checkRouting(); this.build() }
    this.hooks = {
      'before:package:createDeploymentArtifacts': prepare,
      'before:deploy:function:packageFunction': prepare
    }
  }

  // With a broken routing.toml no copy of the function would start: every handoff would be answered 502.
  checkRouting () {
    const { serviceDir } = this.serverless
    const python = path.join(serviceDir, '.venv', 'bin', 'python')
    if (!fs.existsSync(python)) return console.warn('routing.toml is not checked: there is no .venv (docs/deploy.md, 1)')
    const { status, stdout, stderr } = spawnSync(python, ['ops.py', 'routes'], { cwd: serviceDir, encoding: 'utf8' })
    if (status !== 0) this.fail(`routing.toml is not right:\n${stdout}${stderr}`)
  }

  build () {
    const { serviceDir, service } = this.serverless
    const { runtime, architecture } = service.provider
    const words = ['-m', 'deploy.aws.vendor', '--runtime', runtime, '--arch', architecture]
    const result = spawnSync(this.python(runtime), words, { cwd: serviceDir, stdio: ['ignore', 'inherit', 'inherit'] })
    if (result.status !== 0) this.fail(`deploy/aws/vendor.py failed: ${result.error || `exit ${result.status}`}`)
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
