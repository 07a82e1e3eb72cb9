#!lua flags=allow-oom
--[[ Renews a DC's lease on a fan-out, and saves how far it has come; or says that it is
done.

KEYS     1  fan     hash, rs:fan:{<id>}
         2  to      list of names, rs:fan:{<id>}:to
         3  body    string, rs:fan:{<id>}:body
ARGV     1  owner   the token of the DC that runs it
         2  lease   ms from now; 0: any DC may take it at once
         3  state   running, or done: then the list goes, and the lease means nothing
         4  unused  '', or, when it is done and nobody has it waiting: the body goes, and
                    the rest after so many ms, unless a repetition needs them
         5+ field, value...  in pairs: `at` and the counts
RETURNS  1; 0 if it is another DC's by now, or gone; -1 if it was withdrawn
CALLERS  DC, each second for each fan-out that it runs, and after each part of one ]]

if #KEYS ~= 3 or #ARGV < 4 or #ARGV % 2 ~= 0 then
	return redis.error_reply('ERR fan_lease: wants 3 KEYS, 4 ARGV and pairs of field and value')
end
local fan, to, body = KEYS[1], KEYS[2], KEYS[3]
local owner, lease, state, unused = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local FIRST_FIELD = 5
if not lease or (unused ~= '' and not tonumber(unused)) then
	return redis.error_reply('ERR fan_lease: lease, and unused if it is there, must be numbers')
end
if state ~= 'running' and state ~= 'done' then
	return redis.error_reply('ERR fan_lease: state must be running or done')
end
local call = redis.call
local repeated = call('HEXISTS', fan, 'repeated') == 1

local has = call('HMGET', fan, 'owner', 'state')
if has[2] == 'withdrawn' then return -1 end
if has[1] ~= owner or has[2] ~= 'running' then return 0 end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
call('HSET', fan, 'state', state, 'lease', string.format('%.0f', now + lease), unpack(ARGV, FIRST_FIELD))
if state == 'done' then call('DEL', to) end
if state == 'done' and unused ~= '' and not repeated then
	call('DEL', body)
	call('PEXPIRE', fan, unused, 'LT')
end
return 1
