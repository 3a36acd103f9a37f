-- OpenFace's columns for several faces, as far as they are measured; then the box and the expressions, which OpenFace has
-- no columns for. frame counts from 1. success: the face could be read; where it could not, it has no expressions.
SELECT
    frame + 1 AS frame,
    coalesce(person, -1) AS face_id,
    round(time_s, 3) AS timestamp,
    score AS confidence,
    usable::INTEGER AS success,
    x1 AS box_x,
    y1 AS box_y,
    round(x2 - x1, 4) AS box_width,
    round(y2 - y1, 4) AS box_height,
    CASE WHEN usable THEN angry END AS angry,
    CASE WHEN usable THEN disgust END AS disgust,
    CASE WHEN usable THEN fear END AS fear,
    CASE WHEN usable THEN happy END AS happy,
    CASE WHEN usable THEN sad END AS sad,
    CASE WHEN usable THEN surprise END AS surprise,
    CASE WHEN usable THEN neutral END AS neutral
FROM faces
