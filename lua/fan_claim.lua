#!lua flags=allow-oom
--[[ Takes over a fan-out whose DC has not renewed its lease.

KEYS     1  fan     hash, rs:fan:{<id>}
ARGV     1  owner   the token of the DC that takes it
         2  lease   ms for which it is that DC's unless renewed
RETURNS  {'ok', {field, value...}}   it is the caller's; all that is known of it, with the
                                     lease as it was
         {'leased'}                  another DC runs it
         {'done'}                    or 'withdrawn', or 'gone': there is nothing to do
CALLERS  DC, for what it finds in rs:fans ]]

if #KEYS ~= 1 or #ARGV ~= 2 then
	return redis.error_reply('ERR fan_claim: wants 1 KEYS and 2 ARGV')
end
local fan, owner, lease = KEYS[1], ARGV[1], tonumber(ARGV[2])
if not lease then return redis.error_reply('ERR fan_claim: lease must be a number') end
local call = redis.call

local has = call('HMGET', fan, 'state', 'lease')
if not has[1] then return {'gone'} end
if has[1] ~= 'running' then return {has[1]} end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if (tonumber(has[2]) or 0) > now then return {'leased'} end
local all = call('HGETALL', fan)
call('HSET', fan, 'owner', owner, 'lease', string.format('%.0f', now + lease))
return {'ok', all}
