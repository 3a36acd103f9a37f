-- title: Saddest minutes
-- description: The minutes of each run with the largest share of sad, saddest first. Minutes with fewer than half as many
-- usable faces as is usual in the run (the median) are left out.
-- parameter most: integer = 3: how many minutes of each run
-- plot: bar start_s sad
WITH minutes AS (
    SELECT
        run, 60 * (second // 60) AS start_s, sum(sad * usable_faces) / sum(usable_faces) AS sad,
        sum(positivity * usable_faces) / sum(usable_faces) AS positivity, sum(usable_faces) AS faces
    FROM timeline WHERE usable_faces > 0 GROUP BY run, start_s
),
dense AS (SELECT *, median(faces) OVER (PARTITION BY run) AS usual_faces FROM minutes)
SELECT
    dense.run, dense.start_s, dense.sad, dense.positivity, dense.faces,
    (SELECT count(DISTINCT person) FROM faces
     WHERE faces.run = dense.run AND usable AND time_s >= dense.start_s AND time_s < dense.start_s + 60) AS persons
FROM dense WHERE faces >= usual_faces / 2
QUALIFY row_number() OVER (PARTITION BY dense.run ORDER BY dense.sad DESC, dense.start_s) <= $most
ORDER BY dense.run, dense.sad DESC, dense.start_s
