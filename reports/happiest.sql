-- title: Happiest second and minute
-- description: The second and the minute of each run with the largest share of happy. Seconds with fewer than half as
-- many usable faces as is usual in the run (the median) are left out, so that one smile in an empty hall does not win.
-- plot: bar start_s happy
WITH dense AS (
    SELECT *, median(usable_faces) FILTER (WHERE usable_faces > 0) OVER (PARTITION BY run) AS usual_faces FROM timeline
),
seconds AS (SELECT * FROM dense WHERE usable_faces > 0 AND usable_faces >= usual_faces / 2),
minutes AS (
    SELECT
        run, 60 * (second // 60) AS start_s, sum(happy * usable_faces) / sum(usable_faces) AS happy,
        sum(usable_faces) AS faces
    FROM seconds GROUP BY run, start_s
),
ranked AS (
    SELECT run, 'second' AS span, second AS start_s, 1 AS length_s, happy, usable_faces AS faces FROM seconds
    UNION ALL
    SELECT run, 'minute' AS span, start_s, 60 AS length_s, happy, faces FROM minutes
),
best AS (
    SELECT * FROM ranked QUALIFY row_number() OVER (PARTITION BY run, span ORDER BY happy DESC, start_s) = 1
)
SELECT
    best.run, best.span, best.start_s, best.length_s, best.happy, best.faces,
    (SELECT count(DISTINCT person) FROM faces
     WHERE faces.run = best.run AND usable AND time_s >= best.start_s AND time_s < best.start_s + best.length_s) AS persons
FROM best ORDER BY best.run, best.length_s
