SELECT taskbell.note_token_use(:ids, :instants)
