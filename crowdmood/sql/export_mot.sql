-- MOT text: frame, id, left, top, width, height, confidence, x, y, z. Frames are the analyzed ones, counted from 1; so are pixels.
-- A face too brief to be followed has no id and is left out.
SELECT
    number,
    person,
    round(x1 + 1, 2) AS bb_left,
    round(y1 + 1, 2) AS bb_top,
    round(x2 - x1, 2) AS bb_width,
    round(y2 - y1, 2) AS bb_height,
    score,
    -1 AS x,
    -1 AS y,
    -1 AS z
FROM faces JOIN (SELECT frame, row_number() OVER (ORDER BY frame) AS number FROM frames) USING (frame)
WHERE person IS NOT NULL
ORDER BY number, person
