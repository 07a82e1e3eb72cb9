#!lua flags=allow-oom
--[[ Takes every expired message out of a queue, wherever it stands.

KEYS     1  queue   list of records, rs:{user}:queue
ARGV     1  now     ms since 1970
RETURNS  number of messages removed
CALLERS  DC, when message_store said "full": once, before it refuses the message ]]

if #KEYS ~= 1 or #ARGV ~= 1 then
	return redis.error_reply('ERR message_expire: wants 1 KEYS and 1 ARGV')
end
local queue, now = KEYS[1], tonumber(ARGV[1])
if not now then return redis.error_reply('ERR message_expire: now must be a number') end
local call, sub = redis.call, string.sub
local CHUNK = 64

-- A record that cannot be read counts as not expired: never delete what is not understood.
local function is_expired(record)
	local space = string.find(record, ' ', 28, true)
	local ends = space and tonumber(sub(record, space + 15, space + 27))
	return ends and ends <= now
end

-- Counts those at the head, collects the others; nothing moves until all are found.
local head, dead, at = 0, {}, 0
repeat
	local chunk = call('LRANGE', queue, at, at + CHUNK - 1)
	for i = 1, #chunk do
		if is_expired(chunk[i]) then
			if head == at + i - 1 then head = head + 1 else dead[#dead + 1] = chunk[i] end
		end
	end
	at = at + CHUNK
until #chunk < CHUNK

if head > 0 then call('LTRIM', queue, head, -1) end
for i = 1, #dead do call('LREM', queue, 1, dead[i]) end
return head + #dead
