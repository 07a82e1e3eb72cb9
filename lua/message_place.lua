#!lua
--[[ Stores one message for a user with all that message_store leaves out: a priority,
a collapse key, limits by number and by bytes for the user and for the App, and what
is to happen when one is reached.

KEYS     1    presence   hash, rs:{user}:presence
         2    settings   hash, rs:{user}:settings
         3-5  queues     lists of records, rs:{user}:queue, :queue:high, :queue:low
         6    index      hash, rs:{user}:index
         7    journal    list of lines, rs:{user}:journal
         8    missed     hash, rs:{user}:missed
         9    once       string, rs:{user}:once:{<app>}:<id>; given when the App named an id
ARGV     1    record     as in message_store
         2    lane       1, 2, 3: which of the queues
         3    expires    ms since 1970, the same as in the record
         4    now        ms since 1970
         5    keep       ms for which it is remembered what became of a message
         6    once_ttl   ms for which the App's id is remembered
         7    max_count  the most messages the user's queues may hold
         8    max_bytes  ... and bytes of records, with bodies that lie elsewhere
         9    app_count  the most messages of this App; 0: no limit of its own
         10   app_bytes  ... and bytes of records
         11   policy     reject, drop-oldest or drop-lowest
         12   collapse   a waiting message of this App with this key goes; '' if none
RETURNS  {'stored', count, prev, broker, boot, conn, owner, event...}   broker and what follows
                       are '' when the user is offline; an event is "<replaced or displaced>
                       <app> <id> <r or ->" of a message that left, r: a receipt is wanted
         {'duplicate', ...}, {'off', ...}   as message_store
         {'full', what}                     nothing was written but what had expired; what:
                                            messages, bytes, messages of the App, bytes of the App
CALLERS  DC, for messages that message_store cannot store

An App displaces its own messages only, the oldest first, and drop-lowest never one of
a higher priority than the new one. What has expired goes before anything is displaced
or refused.

The index is a cache: which collapse keys wait where, how much there is, of all and of
each App, and when the first will expire (`soonest`, or earlier). `seen` says from which
state of the queues (their lengths, first and last ids: no change leaves all of them as
they were). When that is not the present one, messages have left since, and none has
come, as message_store stands back while there is an index: what it says is the most
there can be. It is made anew before anything is displaced or refused, and when half of what
waits was placed since (`since`). So no other script has to keep it, and a long queue is
not read for each message. When all it had to tell is one plain message it goes, so that
message_store can do the next. ]]

if #KEYS < 8 or #KEYS > 9 or #ARGV ~= 12 then
	return redis.error_reply('ERR message_place: wants 8 or 9 KEYS and 12 ARGV')
end
local presence, settings, index, journal, missed, once = KEYS[1], KEYS[2], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local queues = {KEYS[3], KEYS[4], KEYS[5]}
local record, lane, expires, now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local keep, once_ttl = tonumber(ARGV[5]), tonumber(ARGV[6])
local max_count, max_bytes = tonumber(ARGV[7]), tonumber(ARGV[8])
local app_count, app_bytes = tonumber(ARGV[9]), tonumber(ARGV[10])
local policy, collapse = ARGV[11], ARGV[12]
if not (lane and queues[lane] and expires and now and keep and once_ttl and max_count and max_bytes
		and app_count and app_bytes) or once_ttl < 1 then
	return redis.error_reply('ERR message_place: ARGV 2 to 10 must be numbers, lane 1 to 3')
end
if policy ~= 'reject' and policy ~= 'drop-oldest' and policy ~= 'drop-lowest' then
	return redis.error_reply('ERR message_place: policy must be reject, drop-oldest or drop-lowest')
end
--@include record
--@include journal
local call = redis.call
local MISSED_MS = 30 * 24 * 3600 * 1000
local NEVER = 9999999999999
local LOWEST_FIRST = {3, 1, 2} -- lanes, by what is given up first
local rank = {[3] = 1, [1] = 2, [2] = 3}
local app = look(record)
if not app then return redis.error_reply('ERR message_place: not a record') end
local record_size = size_of(record)

local at = call('HMGET', presence, 'broker', 'boot', 'conn', 'owner')
local function answer_with(...)
	local answer = {...}
	if at[1] then for i = 1, 4 do answer[#answer + 1] = at[i] end end
	return answer
end
if once then
	local first = call('GET', once)
	if first then return answer_with('duplicate', sub(first, 1, 26), sub(first, 28)) end
end
local off = call('HMGET', settings, 'off:' .. app, 'off:*')
if off[1] or off[2] then
	if once and is_of_many(record) then
		call('SET', once, sub(record, 1, 26) .. (at[1] and ' pushed' or ' dropped'), 'PX', once_ttl)
	end
	if not at[1] then return {'off'} end
	return answer_with('off', '', '')
end
call('LLEN', journal)
local untold = tonumber(call('HGET', missed, app)) or 0

-- Lengths, first and last ids of the queues, as one word; and how many messages there are.
local function state_of_queues()
	local words, total = {}, 0
	for i = 1, 3 do
		local len = call('LLEN', queues[i])
		total = total + len
		words[i] = len == 0 and '0' or table.concat({len, sub(call('LINDEX', queues[i], 0), 1, 26),
			sub(call('LINDEX', queues[i], -1), 1, 26)}, ':')
	end
	return table.concat(words, ' '), total
end

local function collapse_of(r) return string.match(words_of(r), ' c=(%S+) ') end
local function field_of(of, key) return 'collapse:{' .. of .. '}:' .. key end

local function make_index(state)
	local fields = {seen = state, count = 0, bytes = 0, soonest = NEVER}
	local function add(field, n) fields[field] = (fields[field] or 0) + n end
	for i = 1, 3 do
		each_record(queues[i], 0, function(r)
			add('count', 1)
			local size = size_of(r)
			add('bytes', size)
			local of, ends = look(r)
			if not of then return end
			add('count:' .. of, 1)
			add('bytes:' .. of, size)
			fields.soonest = math.min(fields.soonest, ends)
			local key = collapse_of(r)
			if key then fields[field_of(of, key)] = i .. ' ' .. sub(r, 1, 26) end
		end)
	end
	call('DEL', index)
	for field, value in pairs(fields) do call('HSET', index, field, value) end
end

-- What the index says, of all and of this App, and whether that is exact; nil if it
-- cannot be right.
local counts, same_key
local function read_index(state, total)
	local f = call('HMGET', index, 'seen', 'count', 'bytes', 'soonest', 'count:' .. app,
		'bytes:' .. app, 'since', field_of(app, collapse))
	same_key = collapse ~= '' and f[8] or nil
	if same_key and not find(same_key, '^[123] ' .. string.rep('.', 26) .. '$') then return nil end
	local read = {exact = f[1] == state, count = total, bytes = tonumber(f[3]),
		soonest = tonumber(f[4]), app_count = tonumber(f[5] or 0), app_bytes = tonumber(f[6] or 0),
		since = tonumber(f[7] or 0)}
	local count = tonumber(f[2])
	if not (count and read.bytes and read.soonest and read.app_count and read.app_bytes
			and read.since) then return nil end
	if count < total or (read.exact and count > total) then return nil end
	return read
end

-- Sets `counts`, of an index that is made anew if it must be.
local function consult_index(exactly)
	local state, total = state_of_queues()
	counts = read_index(state, total)
	if counts and (counts.exact or not (exactly or 2 * counts.since >= total)) then return end
	make_index(state)
	counts = read_index(state, total)
end

local old -- the waiting message with the same collapse key
local function note(queue, from, to, id)
	local chunk = call('LRANGE', queue, from, to)
	for i = 1, #chunk do
		if sub(chunk[i], 1, 26) == id then
			old = {lane = tonumber(sub(same_key, 1, 1)), record = chunk[i]}
		end
	end
	return old ~= nil
end

-- From both ends: what is replaced often is near the last one, what is replaced in turn
-- near the first.
local function find_old()
	old = nil
	if not same_key then return end
	local queue, id = queues[tonumber(sub(same_key, 1, 1))], sub(same_key, 3)
	local low, high = 0, call('LLEN', queue) - 1
	while low <= high do
		if note(queue, math.max(low, high - CHUNK + 1), high, id) then return end
		high = high - CHUNK
		if low > high or note(queue, low, math.min(high, low + CHUNK - 1), id) then return end
		low = low + CHUNK
	end
end

-- What would be over its limit with the new one in and `gone` out; nil: nothing.
local function over(gone)
	local n, b = 1 - gone.count, record_size - gone.bytes
	if app_count > 0 and counts.app_count + n > app_count then return 'messages of the App' end
	if app_bytes > 0 and counts.app_bytes + b > app_bytes then return 'bytes of the App' end
	if counts.count + n > max_count then return 'messages' end
	if counts.bytes + b > max_bytes then return 'bytes' end
	return nil
end

local gone -- messages that will leave: count, bytes, and {lane, record, event}
local function give_up(from, r, event)
	gone.count, gone.bytes = gone.count + 1, gone.bytes + size_of(r)
	gone[#gone + 1] = {lane = from, record = r, event = event}
end

-- A function that returns this App's messages in a queue one by one, and then nil.
local function walk(queue)
	local at, chunk, i = 0, {}, 0
	return function()
		while true do
			if i == #chunk then
				chunk = call('LRANGE', queue, at, at + CHUNK - 1)
				at, i = at + #chunk, 0
				if #chunk == 0 then return nil end
			end
			i = i + 1
			if look(chunk[i]) == app and not (old and chunk[i] == old.record) then return chunk[i] end
		end
	end
end

-- Gives up this App's messages in the order of its policy until the new one has room;
-- returns what is over its limit even so.
local function displace()
	local hopeless = over({count = counts.app_count, bytes = counts.app_bytes})
	if hopeless then return hopeless end
	local lanes = {}
	for _, from in ipairs(LOWEST_FIRST) do
		if policy == 'drop-oldest' or rank[from] <= rank[lane] then
			local next_of = walk(queues[from])
			lanes[#lanes + 1] = {from = from, next_of = next_of, record = next_of()}
		end
	end
	while over(gone) do
		local pick
		for _, l in ipairs(lanes) do
			-- An id begins with its time: the smaller is the older.
			if l.record and (not pick or (policy == 'drop-oldest' and l.record < pick.record)) then pick = l end
		end
		if not pick then return over(gone) end
		give_up(pick.from, pick.record, 'displaced')
		pick.record = pick.next_of()
	end
	return nil
end

local function begin()
	find_old()
	gone = {count = 0, bytes = 0}
	if old then give_up(old.lane, old.record, is_expired(old.record, now) and 'expired' or 'replaced') end
	return over(gone)
end

-- What stands in the way of the new message, nil: nothing. Each step only if the one
-- before was not enough.
local function make_room()
	consult_index(false)
	local what = begin()
	if what and not counts.exact then
		consult_index(true)
		what = begin()
	end
	if what and counts.soonest <= now then
		for i = 1, 3 do expire_queue(queues[i], now) end
		make_index((state_of_queues()))
		consult_index(true)
		what = begin()
	end
	if what and policy ~= 'reject' then what = displace() end
	return what
end

-- The index lives as long as the longest queue.
local function keep_index()
	local longest = 0
	for i = 1, 3 do longest = math.max(longest, call('PEXPIRETIME', queues[i])) end
	call('PEXPIREAT', index, string.format('%.0f', longest))
end

local what = make_room()
if what then
	write_journal(journal, now, keep)
	keep_index()
	return {'full', what}
end

-- Takes a message out of its queue and out of the index.
local function remove(g)
	local id, key = sub(g.record, 1, 26), collapse_of(g.record)
	if sub(call('LINDEX', queues[g.lane], 0) or '', 1, 26) == id then
		call('LPOP', queues[g.lane])
	else
		call('LREM', queues[g.lane], g.event == 'displaced' and 1 or -1, g.record)
	end
	local field = key and field_of(app, key)
	if field and call('HGET', index, field) == g.lane .. ' ' .. id then call('HDEL', index, field) end
	ended(g.event, g.record)
end

local last = call('LINDEX', queues[lane], -1)
local prev = last and sub(last, 1, 26) or ''
local events, displaced = {}, 0
for _, g in ipairs(gone) do
	remove(g)
	if g.event == 'displaced' then displaced = displaced + 1 end
	if g.event ~= 'expired' then
		events[#events + 1] = table.concat({g.event, app, sub(g.record, 1, 26),
			wants_receipt(g.record) and 'r' or '-'}, ' ')
	end
end
write_journal(journal, now, keep)
if displaced > 0 then
	call('HSET', missed, app, untold + displaced)
	call('PEXPIRE', missed, MISSED_MS)
end

local count = call('RPUSH', queues[lane], record)
local ends = string.format('%.0f', expires + keep)
if count == 1 then
	call('PEXPIREAT', queues[lane], ends)
else
	call('PEXPIREAT', queues[lane], ends, 'GT')
end

if counts.count == gone.count and lane == 1 and collapse == '' then
	call('DEL', index)
else
	call('HSET', index, 'seen', counts.exact and state_of_queues() or '',
		'count', counts.count + 1 - gone.count, 'bytes', counts.bytes + record_size - gone.bytes,
		'count:' .. app, counts.app_count + 1 - gone.count,
		'bytes:' .. app, counts.app_bytes + record_size - gone.bytes,
		'soonest', math.min(counts.soonest, expires), 'since', counts.exact and 0 or counts.since + 1)
	if collapse ~= '' then call('HSET', index, field_of(app, collapse), lane .. ' ' .. sub(record, 1, 26)) end
	keep_index()
end

if once then
	call('SET', once, sub(record, 1, 26) .. (at[1] and ' pushed' or ' stored'), 'PX', once_ttl)
end
local answer = {'stored', count, prev, at[1] or '', at[2] or '', at[3] or '', at[4] or ''}
for i = 1, #events do answer[7 + i] = events[i] end
return answer
