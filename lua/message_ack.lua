#!lua flags=allow-oom
--[[ Deletes exactly the messages a client has acknowledged.

KEYS     1  queue      list of records, rs:{user}:queue
         2  presence   hash, rs:{user}:presence
ARGV     1  owner      the caller's owner token
         2+ id...      ids of the messages, in any order, at least one
RETURNS  {'ok', removed, left}   ids not found are passed over
         {'fenced'}              another login owns the user, nothing was deleted
CALLERS  DC, when a broker passes acknowledgements on

The usual case, the ids are those at the head, is one LRANGE and one LTRIM. What
is under way to a client stands at the front, so only the first (ids + 1024) records
are looked at: an id that is not there does not cost a walk through the queue. ]]

if #KEYS ~= 2 or #ARGV < 2 then
	return redis.error_reply('ERR message_ack: wants 2 KEYS and an owner and ids as ARGV')
end
local queue, presence, owner = KEYS[1], KEYS[2], ARGV[1]
local FIRST_ID, CHUNK, DEPTH = 2, 64, 1024
local call, sub = redis.call, string.sub

if call('HGET', presence, 'owner') ~= owner then return {'fenced'} end

local wanted, missing = {}, 0
for i = FIRST_ID, #ARGV do
	local id = ARGV[i]
	if not wanted[id] then
		wanted[id] = true
		missing = missing + 1
	end
end

-- How many at the head are among the wanted.
local head = call('LRANGE', queue, 0, missing - 1)
local removed = 0
while removed < #head and wanted[sub(head[removed + 1], 1, 26)] do removed = removed + 1 end
if removed > 0 then call('LTRIM', queue, removed, -1) end
missing = missing - removed

-- The rest, near the head: first find, then delete, so that no index shifts.
local found, at, limit = {}, 0, missing + DEPTH
while missing > 0 and at < limit do
	local size = math.min(CHUNK, limit - at)
	local chunk = call('LRANGE', queue, at, at + size - 1)
	for i = 1, #chunk do
		if wanted[sub(chunk[i], 1, 26)] then
			found[#found + 1] = chunk[i]
			missing = missing - 1
		end
	end
	if #chunk < size then break end
	at = at + size
end
for i = 1, #found do removed = removed + call('LREM', queue, 1, found[i]) end

return {'ok', removed, call('LLEN', queue)}
