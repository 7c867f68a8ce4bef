-- Sends the requests of a table one after another, each thread from a place of its own, and reports figures as JSON.
-- usage: wrk … -s load.lua URL -- TABLE
local threads = 0

function setup(thread)
   threads = threads + 1
   thread:set("number", threads)
end

function init(args)
   local calls = dofile(args[1])
   requests, place = {}, number * 37
   for index, call in ipairs(calls) do
      requests[index] = wrk.format("POST", call.path, call.headers, call.body)
   end
end

function request()
   place = place % #requests + 1
   return requests[place]
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      'figures {"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "refused": %d, "broken": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
