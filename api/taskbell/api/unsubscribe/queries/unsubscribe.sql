SELECT taskbell.unsubscribe(:token)
