-- title: Headline figures
-- description: Every measure over the whole run, with a 95 % interval by bootstrap over persons (synchrony: by jackknife over
-- persons, mean of the windows' bounds), the persons and faces behind it, and its formula. few: fewer than `min_persons` persons.
-- uses: intervals, synchrony
-- parameter min_persons: integer = 5: figures of fewer persons are called few
-- plot: bar measure value
WITH meanings(place, measure, unit, meaning) AS (VALUES
    (1, 'positivity', '-1..1', 'mean happy - the largest of mean angry, disgust, fear and sad, over faces read'),
    (2, 'happy', '0..1', 'mean probability of happy over faces read'),
    (3, 'surprise', '0..1', 'mean probability of surprise over faces read'),
    (4, 'neutral', '0..1', 'mean probability of neutral over faces read'),
    (5, 'sad', '0..1', 'mean probability of sad over faces read'),
    (6, 'fear', '0..1', 'mean probability of fear over faces read'),
    (7, 'disgust', '0..1', 'mean probability of disgust over faces read'),
    (8, 'angry', '0..1', 'mean probability of angry over faces read'),
    (9, 'valence', '-1..1', 'mean of happy - angry - disgust - fear - sad over faces read'),
    (10, 'expressiveness', '-1..1', 'mean of (1 - neutral) - its median for the same person, over faces read'),
    (11, 'presence', '0..1', 'mean over persons of the share of analyzed frames in which they are seen'),
    (12, 'coverage', '0..1', 'faces read / faces found'),
    (13, 'synchrony', '-1..1', 'mean correlation of all pairs of persons'' positivity, mean over windows'),
    (14, 'synchronous', '0..1', 'share of windows with more synchrony than chance gives (q <= 0.05)')
),
in_windows AS (
    SELECT run, avg(synchrony) AS synchrony, avg(low) AS low, avg(high) AS high, avg(significant::INTEGER) AS synchronous,
        round(avg(persons))::BIGINT AS persons
    FROM synchrony GROUP BY run
),
figures AS (
    SELECT run, measure, value, low, high, persons, faces FROM intervals
    UNION ALL SELECT run, 'synchrony', synchrony, low, high, persons, NULL FROM in_windows
    UNION ALL SELECT run, 'synchronous', synchronous, NULL, NULL, persons, NULL FROM in_windows
)
SELECT run, measure, value, low, high, unit, persons, faces, persons < $min_persons AS few, meaning
FROM figures JOIN meanings USING (measure) ORDER BY run, place
