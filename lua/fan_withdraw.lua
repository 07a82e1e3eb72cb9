#!lua flags=allow-oom
--[[ Takes a fan-out back: who has not been served is not, and whoever has it waiting
does not get it, since its body is gone.

KEYS     1  fan     hash, rs:fan:{<id>}
         2  body    string, rs:fan:{<id>}:body
         3  to      list of names, rs:fan:{<id>}:to
ARGV     1  app     whose it must be; '' for the operator, who may take back any
RETURNS  1; 0 if there is none of this App's, and nothing was changed
CALLERS  DC, for an App ]]

if #KEYS ~= 3 or #ARGV ~= 1 then
	return redis.error_reply('ERR fan_withdraw: wants 3 KEYS and 1 ARGV')
end
local fan, body, to, app = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local call = redis.call

local has = call('HGET', fan, 'app')
if not has or (app ~= '' and has ~= app) then return 0 end
call('HSET', fan, 'state', 'withdrawn')
call('DEL', body, to)
return 1
