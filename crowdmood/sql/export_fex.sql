-- py-feat's Fex columns: one row per face, and one without a face per frame without faces, as py-feat has it.
-- Faces that could not be read have no emotions. approx_time is cut to seconds, as py-feat does.
SELECT
    x1 AS FaceRectX,
    y1 AS FaceRectY,
    round(x2 - x1, 4) AS FaceRectWidth,
    round(y2 - y1, 4) AS FaceRectHeight,
    score AS FaceScore,
    CASE WHEN usable THEN angry END AS anger,
    CASE WHEN usable THEN disgust END AS disgust,
    CASE WHEN usable THEN fear END AS fear,
    CASE WHEN usable THEN happy END AS happiness,
    CASE WHEN usable THEN sad END AS sadness,
    CASE WHEN usable THEN surprise END AS surprise,
    CASE WHEN usable THEN neutral END AS neutral,
    (SELECT height FROM runs) AS FrameHeight,
    (SELECT width FROM runs) AS FrameWidth,
    (SELECT path FROM runs) AS input,
    frame,
    printf('%02d:%02d', floor(time_s / 60)::INTEGER, floor(time_s % 60)::INTEGER) AS approx_time,
    'Person_' || person AS Identity
FROM (
    SELECT frames.frame, frames.time_s, faces.* EXCLUDE (run, frame, pts, time_s)
    FROM frames LEFT JOIN faces USING (frame)
    ORDER BY frames.frame, face
)
