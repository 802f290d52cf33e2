SELECT taskbell.fold_reports(:at_most)
