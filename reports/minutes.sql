-- title: Mix per minute
-- description: One row per run and minute with usable faces: the mean probability of each expression over them, positivity
-- of that mix, faces, usable faces and their share (coverage), and the most persons seen in one second. From the seconds of
-- the timeline, each with the weight of its usable faces, so that a thousand hours are answered at once.
-- parameter step: integer = 60: length of a step in seconds
-- plot: stack start_s happy surprise neutral sad fear disgust angry
WITH summed AS (
    SELECT
        run, $step * (second // $step) AS start_s, sum(usable_faces) AS usable_faces, sum(faces) AS faces,
        sum(usable_faces) FILTER (happy IS NOT NULL) AS counted,  -- fewer where a run keeps no figures of few persons
        max(persons) AS most_persons, sum(angry * usable_faces) AS angry, sum(disgust * usable_faces) AS disgust,
        sum(fear * usable_faces) AS fear, sum(happy * usable_faces) AS happy, sum(sad * usable_faces) AS sad,
        sum(surprise * usable_faces) AS surprise, sum(neutral * usable_faces) AS neutral
    FROM timeline GROUP BY run, start_s HAVING sum(usable_faces) > 0
)
SELECT
    run, start_s, angry / counted AS angry, disgust / counted AS disgust, fear / counted AS fear,
    happy / counted AS happy, sad / counted AS sad, surprise / counted AS surprise,
    neutral / counted AS neutral, (happy - greatest(angry, disgust, fear, sad)) / counted AS positivity, faces,
    usable_faces, usable_faces / faces AS coverage, most_persons
FROM summed ORDER BY run, start_s
