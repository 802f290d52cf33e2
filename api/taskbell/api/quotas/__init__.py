"""How much a workspace may write and store. The relay measures it; requests are checked against what it found last."""
