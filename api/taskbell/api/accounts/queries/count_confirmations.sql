SELECT sent, oldest, clock_timestamp() AS now FROM taskbell.confirmations_to(:mailbox, :period::interval)
