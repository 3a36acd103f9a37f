-- title: Persons and what they showed when
-- description: For the 60 persons of each run who are seen longest: spans of time with the expression shown (the largest of
-- the mean over the span's usable faces; 'uncertain' where no face is usable). Steps are a 240th of the recording.
WITH step AS (
    SELECT
        run, greatest(max(time_s + coalesce(shown_s, 0)) / 240, 0.1,
        (max(time_s) - min(time_s)) / nullif(count(*) - 1, 0)) AS step_s
    FROM frames GROUP BY run
),
longest AS (
    SELECT run, person FROM persons
    QUALIFY row_number() OVER (PARTITION BY run ORDER BY seen_s DESC, person) <= 60
),
seen AS (
    SELECT
        faces.run, person, floor(faces.time_s / step_s)::BIGINT AS bin, any_value(step_s) AS step_s,
        min(faces.time_s) AS start_s, max(faces.time_s + coalesce(shown_s, 0)) AS end_s,
        [avg(angry) FILTER (WHERE usable), avg(disgust) FILTER (WHERE usable), avg(fear) FILTER (WHERE usable),
         avg(happy) FILTER (WHERE usable), avg(sad) FILTER (WHERE usable), avg(surprise) FILTER (WHERE usable),
         avg(neutral) FILTER (WHERE usable)] AS mix
    FROM faces
    JOIN longest USING (run, person)
    JOIN step USING (run)
    JOIN (SELECT run, frame, shown_s FROM frames) AS shown USING (run, frame)
    GROUP BY faces.run, person, bin
),
named AS (
    SELECT *, CASE WHEN mix[1] IS NULL THEN 'uncertain'
        ELSE ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'][list_position(mix, list_max(mix))]
        END AS expression
    FROM seen
),
marked AS (
    SELECT *, CASE WHEN expression = lag(expression) OVER by_time AND start_s <= lag(end_s) OVER by_time + step_s
        THEN 0 ELSE 1 END AS starts
    FROM named WINDOW by_time AS (PARTITION BY run, person ORDER BY bin)
),
islands AS (
    SELECT *, sum(starts) OVER (PARTITION BY run, person ORDER BY bin) AS island FROM marked
)
SELECT run, person, expression, min(start_s) AS start_s, max(end_s) AS end_s
FROM islands GROUP BY run, person, island, expression
ORDER BY run, person, start_s
