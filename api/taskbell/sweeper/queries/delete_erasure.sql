DELETE FROM erasures WHERE id = :id
