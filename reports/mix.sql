-- title: Share of each expression
-- description: One row per run and expression: its share (mean probability over all usable faces), on how many faces it
-- was the largest, how many persons had such a face, and of how many who can be read (of_persons). 'uncertain' counts the
-- faces that are not usable and has no share. In a meeting the faces of those who speak are left out.
-- uses: speaking
-- plot: bar expression share
WITH listening AS (FROM faces ANTI JOIN speaking USING (run, frame, person)),
shares AS (
    UNPIVOT (
        SELECT
            run, avg(angry) AS angry, avg(disgust) AS disgust, avg(fear) AS fear, avg(happy) AS happy,
            avg(sad) AS sad, avg(surprise) AS surprise, avg(neutral) AS neutral
        FROM listening WHERE usable GROUP BY run
    ) ON angry, disgust, fear, happy, sad, surprise, neutral INTO NAME expression VALUE share
),
counts AS (
    SELECT run, expression, count(*) AS faces, count(DISTINCT person) AS persons FROM listening GROUP BY run, expression
),
readable AS (
    SELECT run, count(DISTINCT person) FILTER (usable) AS of_persons FROM listening GROUP BY run
)
SELECT
    run, expression, shares.share, coalesce(counts.faces, 0) AS faces, coalesce(counts.persons, 0) AS persons, of_persons
FROM shares FULL JOIN counts USING (run, expression) JOIN readable USING (run)
ORDER BY run, expression = 'uncertain', shares.share DESC, expression
