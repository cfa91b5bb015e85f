-- For wrk: each request is a new handoff, and `done` prints the figures as JSON.
local template = io.open("dev/bench/handoff.json"):read("*a")
local run, number, thread = os.getenv("RUN"), 0, nil
refused = 0

function setup(new_thread) thread = new_thread end

function request()
  number = number + 1
  return wrk.format("POST", nil, nil, (template:gsub("PLACE", run .. "-" .. number)))
end

function response(status)
  if status ~= 201 then refused = refused + 1 end
end

function done(summary, latency)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.timeout + thread:get("refused")
  local form = '\n{"requests": %d, "seconds": %f, "p50_ms": %f, "failed": %d}\n'
  io.write(string.format(form, summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, failed))
end
