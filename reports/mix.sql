-- title: Share of each expression
-- description: One row per run and expression: its share (mean probability over all usable faces), on how many faces it
-- was the largest, and how many persons had such a face. 'uncertain' counts the faces that are not usable and has no share.
-- plot: bar expression share
WITH shares AS (
    UNPIVOT (
        SELECT
            run, avg(angry) AS angry, avg(disgust) AS disgust, avg(fear) AS fear, avg(happy) AS happy,
            avg(sad) AS sad, avg(surprise) AS surprise, avg(neutral) AS neutral
        FROM faces WHERE usable GROUP BY run
    ) ON angry, disgust, fear, happy, sad, surprise, neutral INTO NAME expression VALUE share
),
counts AS (
    SELECT run, expression, count(*) AS faces, count(DISTINCT person) AS persons FROM faces GROUP BY run, expression
)
SELECT
    run, expression, shares.share, coalesce(counts.faces, 0) AS faces, coalesce(counts.persons, 0) AS persons
FROM shares FULL JOIN counts USING (run, expression)
ORDER BY run, expression = 'uncertain', shares.share DESC, expression
