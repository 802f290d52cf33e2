-- A call of a function; its name and its arguments take the place of `actor()`.
SELECT * FROM taskbell.actor()
