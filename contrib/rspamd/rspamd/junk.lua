-- SPDX-License-Identifier: ISC
-- Mail that is probably spam (action "add header") goes to info+junk@example.org in place of info@example.org: a line
-- of postern's table of recipients says which folder that is.

rspamd_config:register_symbol({
  name = 'POSTERN_JUNK',
  type = 'idempotent', -- when the action is known
  callback = function(task)
    if task:get_metric_action() ~= 'add header' then
      return
    end
    local here, there = {}, {}
    for _, recipient in ipairs(task:get_recipients({ 'smtp', 'orig' }) or {}) do
      local user = recipient.user:gsub('(.)%+.*', '%1') -- no second subaddress
      here[#here + 1] = recipient.addr
      there[#there + 1] = user .. '+junk@' .. recipient.domain
    end
    task:set_milter_reply({ del_rcpt = here, add_rcpt = there })
  end,
})
