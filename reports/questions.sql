-- title: After questions
-- description: How the audience changed with each question of a meeting: what persons showed in the `window` seconds after it, less
-- what the same persons showed in the seconds before it, mean over those who can be read in both and speak in neither; 95 %
-- intervals by bootstrap over persons. The row without a number is of all questions: each person's mean over them. Who asks is left
-- out while asking. A question is an utterance or chat message in which a sentence ends with a question mark. few: fewer than
-- `min_persons` persons.
-- uses: speaking, called
-- parameter window: number = 10: seconds looked at on each side
-- parameter min_persons: integer = 5: figures of fewer persons are called few
-- parameter draws: integer = 400: bootstrap samples
-- plot: bar start_s positivity_change
WITH asked AS (
    SELECT run, row_number() OVER (PARTITION BY run ORDER BY start_s, end_s, kind, speaker) AS question, kind,
        coalesce(speaker, -person) AS number, start_s, end_s
    FROM speech WHERE question
),
near AS (
    SELECT asked.run, question, frame, time_s >= end_s AS later FROM asked JOIN frames
        ON frames.run = asked.run AND time_s >= start_s - $window AND time_s < end_s + $window
    WHERE time_s < start_s OR time_s >= end_s
),
sides AS (
    SELECT run, question, person, later, count(*) AS faces, avg(expressiveness) AS expressiveness,
        avg(happy) - greatest(avg(angry), avg(disgust), avg(fear), avg(sad)) AS positivity
    FROM near JOIN faces USING (run, frame) ANTI JOIN speaking USING (run, frame, person)
    WHERE usable AND person IS NOT NULL GROUP BY ALL
),
changes AS (
    SELECT run, question, person, a.faces + b.faces AS faces, b.positivity AS before, a.positivity AS after,
        a.positivity - b.positivity AS change, a.expressiveness - b.expressiveness AS expressiveness
    FROM (FROM sides WHERE later) AS a JOIN (FROM sides WHERE NOT later) AS b USING (run, question, person)
),
persons_of AS (  -- question 0: all of them together
    FROM changes
    UNION ALL BY NAME
    SELECT run, 0 AS question, person, sum(faces)::BIGINT AS faces, avg(before) AS before, avg(after) AS after, avg(change) AS change,
        avg(expressiveness) AS expressiveness
    FROM changes GROUP BY run, person
),
drawn AS (  -- Poisson bootstrap over persons, as in intervals
    SELECT *, hash(run, person, draw)::DOUBLE / 18446744073709551616 AS u, CASE WHEN draw = 0 THEN 1 WHEN u < 0.36788 THEN 0
        WHEN u < 0.73576 THEN 1 WHEN u < 0.91970 THEN 2 WHEN u < 0.98101 THEN 3 WHEN u < 0.99634 THEN 4 ELSE 5 END AS w
    FROM persons_of, range($draws + 1) AS draws(draw)
),
means AS (
    SELECT run, question, draw, sum(w * change) / sum(w) AS change, sum(w * expressiveness) / sum(w) AS expressiveness,
        sum(w) AS weight
    FROM drawn GROUP BY run, question, draw
),
bounds AS (
    SELECT run, question, quantile_cont(change, [0.025, 0.975]) AS change, quantile_cont(expressiveness, [0.025, 0.975]) AS expressiveness
    FROM means WHERE draw > 0 AND weight > 0 GROUP BY run, question
),
middle AS (
    SELECT run, question, count(*) AS persons, sum(faces)::BIGINT AS faces, avg(before) AS before, avg(after) AS after,
        avg(change) AS change, avg(expressiveness) AS expressiveness
    FROM persons_of GROUP BY run, question
),
listed AS (
    FROM asked UNION ALL BY NAME SELECT run, 0 AS question FROM asked GROUP BY run
)
SELECT
    listed.run, nullif(listed.question, 0) AS question, listed.start_s, listed.end_s, listed.kind, who, coalesce(persons, 0) AS persons,
    coalesce(faces, 0) AS faces, before AS positivity_before, after AS positivity_after, middle.change AS positivity_change,
    if(persons > 1, bounds.change[1], NULL) AS positivity_low, if(persons > 1, bounds.change[2], NULL) AS positivity_high,
    middle.expressiveness AS expressiveness_change, if(persons > 1, bounds.expressiveness[1], NULL) AS expressiveness_low,
    if(persons > 1, bounds.expressiveness[2], NULL) AS expressiveness_high, coalesce(persons, 0) < $min_persons AS few
FROM listed LEFT JOIN middle USING (run, question) LEFT JOIN bounds USING (run, question)
LEFT JOIN called ON called.run = listed.run AND called.number = listed.number
ORDER BY listed.run, listed.question = 0, listed.start_s, listed.question
