SELECT taskbell.new_id()
