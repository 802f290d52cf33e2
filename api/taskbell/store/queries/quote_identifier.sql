SELECT quote_ident(:text::text)
