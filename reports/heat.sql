-- title: Heat map of persons
-- description: What each person showed when: the recording is cut into equal steps, and each step in which a person's face is
-- in the picture has a row, from the first to the last instant seen in it. positivity and expression are those of the mean
-- over the step's usable faces, NULL and 'uncertain' where there are none. The persons seen longest come first in the count.
-- parameter steps: integer = 240: how many steps at most
-- parameter most: integer = 240: how many persons of each run, those seen longest
-- plot: heat start_s person positivity
WITH shown AS (
    SELECT run, frame, time_s + coalesce(shown_s, 0) AS until_s FROM frames
),
step AS (
    SELECT
        run, greatest(max(time_s + coalesce(shown_s, 0)) / $steps, 0.1,
        (max(time_s) - min(time_s)) / nullif(count(*) - 1, 0)) AS step_s
    FROM frames GROUP BY run
),
longest AS (
    SELECT run, person FROM persons
    QUALIFY row_number() OVER (PARTITION BY run ORDER BY seen_s DESC, person) <= $most
),
cell AS (
    SELECT
        faces.run, person, floor(time_s / step_s + 1e-6)::BIGINT AS part, min(time_s) AS start_s, max(until_s) AS end_s,
        count(*) AS faces, count(*) FILTER (WHERE usable) AS usable_faces,
        avg(angry) FILTER (WHERE usable) AS angry, avg(disgust) FILTER (WHERE usable) AS disgust,
        avg(fear) FILTER (WHERE usable) AS fear, avg(happy) FILTER (WHERE usable) AS happy,
        avg(sad) FILTER (WHERE usable) AS sad, avg(surprise) FILTER (WHERE usable) AS surprise,
        avg(neutral) FILTER (WHERE usable) AS neutral
    FROM faces
    JOIN longest USING (run, person)
    JOIN step USING (run)
    JOIN shown USING (run, frame)
    GROUP BY faces.run, person, part
)
SELECT
    run, person, start_s, end_s, happy - greatest(angry, disgust, fear, sad) AS positivity,
    CASE greatest(angry, disgust, fear, happy, sad, surprise, neutral)
        WHEN angry THEN 'angry' WHEN disgust THEN 'disgust' WHEN fear THEN 'fear' WHEN happy THEN 'happy'
        WHEN sad THEN 'sad' WHEN surprise THEN 'surprise' WHEN neutral THEN 'neutral' ELSE 'uncertain' END AS expression,
    faces, usable_faces
FROM cell ORDER BY run, person, start_s
