-- Messages that leave a queue, in two steps: ended() collects them by event and App,
-- write_journal() appends a line for each kind to the user's journal:
-- "<ms> <event> <app> <id>[:<handed over, ms>][@<expired, ms>] <id>..."
local JOURNAL_LINES, JOURNAL_PRUNE = 4096, 8
local lines, line_order = {}, {}

local function ended(event, record, handed)
	local app, ends = look(record)
	if not app then return end
	local key, id = event .. ' ' .. app, sub(record, 1, 26)
	if not lines[key] then
		lines[key] = {}
		line_order[#line_order + 1] = key
	end
	if handed then id = id .. ':' .. handed end
	-- It is noticed later than it happens.
	if event == 'expired' then id = string.format('%s@%.0f', id, ends) end
	lines[key][#lines[key] + 1] = id
end

-- now, keep: ms. What is older than `keep` goes.
local function write_journal(journal, now, keep)
	if #line_order == 0 then return end
	for i = 1, #line_order do
		local key = line_order[i]
		redis.call('RPUSH', journal, string.format('%.0f %s %s', now, key, table.concat(lines[key], ' ')))
	end
	for _ = 1, JOURNAL_PRUNE do
		local first = tonumber(string.match(redis.call('LINDEX', journal, 0), '^%d+'))
		if not first or first >= now - keep then break end
		redis.call('LPOP', journal)
	end
	redis.call('LTRIM', journal, -JOURNAL_LINES, -1)
	redis.call('PEXPIRE', journal, keep)
end

-- Takes every expired message out of a queue; how many there were.
local function expire_queue(queue, now)
	local places = {}
	each_record(queue, 0, function(record, at)
		if is_expired(record, now) then
			ended('expired', record)
			places[#places + 1] = at
		end
	end)
	take_out(queue, places)
	return #places
end
