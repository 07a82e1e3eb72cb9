#!lua
--[[ Keeps the body of a fan-out that is served again for as long as the messages of now,
or makes it anew if it is gone; not if it was withdrawn.

KEYS     1  fan         hash, rs:fan:{<id>}
         2  body        string, rs:fan:{<id>}:body
ARGV     1  bytes       the body
         2  body_until  ms since 1970: the body goes
         3  keep_until  ms since 1970: the rest goes
RETURNS  1; -1 if it was withdrawn, and nothing was changed
CALLERS  DC, for SENDMANY that was sent again, before and after each part of it

The field `repeated` says that the body is needed also when the one that was sent first is
done and nobody of it has it waiting. No allow-oom, as it may write a body. ]]

if #KEYS ~= 2 or #ARGV ~= 3 then
	return redis.error_reply('ERR fan_keep: wants 2 KEYS and 3 ARGV')
end
local fan, body = KEYS[1], KEYS[2]
local bytes, body_until, keep_until = ARGV[1], ARGV[2], ARGV[3]
if not (tonumber(body_until) and tonumber(keep_until)) then
	return redis.error_reply('ERR fan_keep: body_until and keep_until must be numbers')
end
local call = redis.call

local state = call('HGET', fan, 'state')
if state == 'withdrawn' then return -1 end
if not call('SET', body, bytes, 'NX', 'PXAT', body_until) then call('PEXPIREAT', body, body_until, 'GT') end
if state then call('HSET', fan, 'repeated', 1) end
call('PEXPIREAT', fan, keep_until, 'GT')
return 1
