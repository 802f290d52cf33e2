SELECT taskbell.check_reports(:since, :until)
