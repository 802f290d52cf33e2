SELECT quote_literal(:text::text)
