// For osls: fills vendor/ before the function is packaged, for its own Python and CPU, and checks the zip afterwards,
// so that `npx serverless deploy` stays the one command.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

class Vendor {
  constructor (serverless) {
    this.serverless = serverless
    const prepare = () => { this.checkRouting(); this.run('vendor') }
    const check = () => this.run('check_zip', this.zip())
    this.hooks = {
      'before:package:createDeploymentArtifacts': prepare,
      'after:package:createDeploymentArtifacts': check,
      'before:deploy:function:packageFunction': prepare,
      'after:deploy:function:packageFunction': check
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

  run (module, ...words) {
    const { serviceDir, service } = this.serverless
    const { runtime, architecture } = service.provider
    const command = ['-m', `deploy.aws.${module}`, ...words, '--runtime', runtime, '--arch', architecture]
    const result = spawnSync(this.python(runtime), command, { cwd: serviceDir, stdio: ['ignore', 'inherit', 'inherit'] })
    if (result.status !== 0) this.fail(`deploy/aws/${module}.py failed: ${result.error || `exit ${result.status}`}`)
  }

  zip () {
    const { service, serviceDir, processedInput } = this.serverless
    return service.package.artifact || path.join(serviceDir, '.serverless', `${processedInput.options.function}.zip`)
  }

  // The function's own Python first: only that one can compile its bytecode.
  python (runtime) {
    const names = [process.env.PYTHON, runtime, path.join(this.serverless.serviceDir, '.venv/bin/python'), 'python3']
    const found = names.find((name) => name && spawnSync(name, ['-m', 'pip', '--version'], { stdio: 'ignore' }).status === 0)
    return found || this.fail(`no Python with pip found; tried ${names.filter(Boolean).join(', ')}`)
  }

  fail (message) {
    throw new this.serverless.classes.Error(message, 'VENDOR_FAILED')
  }
}

module.exports = Vendor
