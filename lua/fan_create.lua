#!lua
--[[ Makes a fan-out known, with its body: from here on it will be carried out, by the
DC that makes it or by another one.

KEYS     1  fan         hash, rs:fan:{<id>}
         2  body        string, rs:fan:{<id>}:body
         3  to          list of names, rs:fan:{<id>}:to
         4  names       of a list: the names, written before under this name, which nobody
                        else uses; they become `to`, or go
ARGV     1  bytes       the body
         2  body_until  ms since 1970: the body goes
         3  keep_until  ms since 1970: the rest goes
         4  owner       the token of the DC that runs it
         5  lease       ms for which it is that DC's unless renewed; 0: any DC may take it
         6+ field, value...  what it is (services/dc/fan_job.c), in pairs
RETURNS  1; 0 if it is there already, unchanged
CALLERS  DC, for SENDMANY and SEND to a topic ]]

if (#KEYS ~= 3 and #KEYS ~= 4) or #ARGV < 5 or #ARGV % 2 ~= 1 then
	return redis.error_reply('ERR fan_create: wants 3 or 4 KEYS, 5 ARGV and pairs of field and value')
end
local fan, body, to, names = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local bytes, body_until, keep_until = ARGV[1], ARGV[2], ARGV[3]
local owner, lease = ARGV[4], tonumber(ARGV[5])
local FIRST_FIELD = 6
if not (tonumber(body_until) and tonumber(keep_until) and lease) then
	return redis.error_reply('ERR fan_create: body_until, keep_until, lease must be numbers')
end
local call = redis.call

if call('EXISTS', fan) == 1 then
	if names then call('DEL', names) end
	return 0
end
if names and call('EXISTS', names) == 0 then
	return redis.error_reply('ERR fan_create: the names are gone')
end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
call('SET', body, bytes, 'PXAT', body_until)
call('HSET', fan, 'state', 'running', 'owner', owner, 'lease', string.format('%.0f', now + lease),
	unpack(ARGV, FIRST_FIELD))
call('PEXPIREAT', fan, keep_until)
if names then
	call('RENAME', names, to)
	call('PEXPIREAT', to, keep_until)
end
return 1
