#!lua flags=allow-oom
--[[ A daemon's sign of life: writes its fields and the time of the beat.

KEYS     1  member           hash, rs:broker:<id>, rs:dc:<id> or rs:lb:<id>
ARGV     1  ttl              ms after which the member is forgotten
         2+ field, value...  whatever it has to say of itself, in pairs
RETURNS  {now, drain, other}: Redis's time in ms, which is also the field `beat`; the field
         `drain`, which registry_drain writes, '' if it is not there; the boot number of
         another daemon that beat under this id since our last beat, '' if none did
CALLERS  every daemon, once a second (app/registry.h) ]]

if #KEYS ~= 1 or #ARGV < 1 or #ARGV % 2 ~= 1 then
	return redis.error_reply('ERR registry_beat: wants 1 KEYS, a ttl and pairs of field and value as ARGV')
end
local member, ttl = KEYS[1], tonumber(ARGV[1])
local FIRST_FIELD = 2
if not ttl then return redis.error_reply('ERR registry_beat: ttl must be a number') end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = redis.call('HGET', member, 'boot')
redis.call('HSET', member, 'beat', string.format('%.0f', now), unpack(ARGV, FIRST_FIELD))
redis.call('PEXPIRE', member, ttl)
local left = redis.call('HMGET', member, 'drain', 'boot')
return {now, left[1] or '', before and before ~= left[2] and before or ''}
