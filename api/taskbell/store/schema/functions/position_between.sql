CREATE OR REPLACE FUNCTION taskbell.position_between(lower bigint, upper bigint) RETURNS bigint
  LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  half bigint := CASE WHEN lower IS NULL THEN upper - 1000 ELSE lower + (upper - lower) / 2 END;
  place bigint;
BEGIN
  FOREACH place IN ARRAY ARRAY[half, half + 1, half - 1] LOOP
    -- The sequence gives new tasks positive multiples of 1,000. One that looks free may be of a task that is not
    -- committed yet.
    IF (lower IS NULL OR lower < place) AND place < upper AND NOT (place > 0 AND place % 1000 = 0) THEN
      RETURN place;
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION taskbell.position_between IS
  'The position halfway between two others, or well before the first one (`lower` NULL); NULL when the gap is used up.';
