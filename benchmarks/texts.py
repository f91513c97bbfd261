"""What the page says around its figures."""

INTRODUCTION = """\
# Benchmarks

`make bench` simulates answers whose truth is known, lets this project's estimator and the
programs that a user would pick instead fit them, one after another on the same machine, and
writes this page. **Compare ratios and errors, not seconds**: machines differ, and this one may
have been busy.

How it is measured:

- Seconds are those of the fit. Imports, compilation and reading the answers are left out for all.
  Ours are the fastest of three and include each item's information, which its standard errors
  come from; the others' are of one fit without them, since for some they cost far more than the
  fit.
- Memory is the peak of the whole process, libraries included. Python `mirt` and `girth` take a
  dense matrix, which is therefore part of theirs.
- Errors are root mean squares over items. "Linked" is after the linear change of scale that gives
  the estimates of b the mean and spread of the true ones: most of the others' error is scale.
- A program that takes priors gets the same as ours starts from, for what it takes them for.
  Otherwise each runs as its documentation shows, with its defaults.
- A program that needs longer than {limit:.0f} s for a case, reading included, is stopped.
- R `mirt` runs where `Rscript` is on the path and has it. Python `mirt` and `girth` have an
  environment of their own ([why](decisions/0008-peers-environment.md)).

`BENCH_QUICK=1 make bench` leaves out the 100 million answers; `make bench ONLY=night` measures
one section and keeps the figures of the others.
"""

DENSE = """\
1000 items × 500 students who answer everything, 3PL: a ~ U(.5, 2.5), b ~ N(0, 1), c ~ U(.05, .3),
θ ~ N(0, 1), NumPy's generator with seed 42. Nobody knows the truth's distribution: the priors are
log a ~ N(0, .5²), b ~ N(0, 1.5²), logit c ~ N(−1.6, .5²). Ours learns their location and spread;
with 500 students, a thousand priors centred off the pool would otherwise outweigh N(0, 1) and
stretch the scale.
"""

NIGHT = """\
20,000 adaptive sessions of 30 answers, θ ~ N(0, 1), on 2,400 items: a ~ lognormal(.2, .3) within
[.4, 2.5], b ~ N(0, 1), c ~ U(.1, .3). A session sees a random 2.5% of the pool and gets one of
its 5 most informative items at the current estimate. 290 items are fixed at the truth, the
population is free. Errors are those of items with 300 answers or more. Guessing is hardly
identified: putting the prior's mean for every item gives an RMSE of c of about .058. Ours and R
`mirt` take the priors from the fixed items; Python `mirt` takes none together with fixed items.
"""

SPARSE = """\
10,000 persons answer 40 of 300 items each, at random; pool as above, no fixed items, θ ~ N(0, 1)
known. All get the pool's own priors: log a ~ N(.2, .3²), b ~ N(0, 1), logit c ~ N(−1.4, .35²). R
`mirt` has no parameter b, so none for it.
"""

ANCHORS = """\
5,000 persons answer 100 items, 12 of which are fixed at the truth; the population is free. Ours
and R `mirt` take the priors from the 12 fixed items.
"""

STARTS = """\
The night's pool again, but every session starts from the ability that the engine learnt in an
earlier session whose answers are not in the fit. Item selection then depends on something that
the answers don't show, and ignoring it compresses difficulties: the slope of the true b on its
estimate rises above 1 and intervals miss. With the regression of the population on the start,
selection is ignorable again. Items with 25 answers or more; means of {draws} draws.
"""

THROUGHPUT = """\
Million answers per second in an E-step, and in a bare loop over the same rows that only adds each
answer's row of the table to a vector and the vector to each answer's row of a count table: no
exponential, no logarithm, nothing normalised, no shards added up. Same shards and threads, run in
turn, fastest of each.
"""

ADAPTIVE_TESTS = """\
1,000 candidates, θ ~ N(0, 1), take tests of 30 items, the most informative one at each step, from
pools as above. `catsim` searches the maximum of the likelihood after every answer, ours takes the
mean of the posterior at 41 nodes; the same answers can't be drawn in both, so that errors differ
by chance, too. Seconds of ours are the fastest of five, of `catsim` those of one run.
"""

EXPOSURE_CONTROL = """\
Exposure control of the larger pool at a maximum of .2, one of the five best items at each step:
seconds of the search, and the rates of 100,000 candidates who had no part in it. Precision is the
mean posterior standard deviation of ability.
"""

LARGE = """\
10,000 items of which 1,200 are fixed, sessions of 50 answers to items near an estimate that moves
with every answer. What grows is the number of sessions. At 1 million the items themselves take a
good part of the time, and have some 100 answers each. Memory includes the answers, {raw:.1f} GiB
of it at 100 million.
"""

DASK = """\
A Dask cluster of processes on this machine: a scheduler, and workers of one thread each. Answers as
in the section above, {responses:,} of them to {items:,} items, in {blocks} blocks. Passes here and
on the cluster alternate. Seconds are those of the clock, and in brackets those of the processors,
of all processes together: other work on the machine lengthens the former. More workers than cores
can show what a worker costs, not what it gains. What follows from it for larger windows:
[scale.md](scale.md).
"""

EXTRACTION = """\
One local day of 5 million answers to 10,000 items in sessions of 30, mixed in the table as a test
engine writes them, from the embedded PostgreSQL into a fresh archive: read, ordered, checked for
duplicates and inconsistent sessions, pseudonymised, digested and written as Parquet. Beside it a
bare COPY of the same rows and columns, which is read with psycopg and thrown away: in text, which
is what COPY gives unless it is told otherwise, and in binary, which extraction reads. Taken in
turn, each in a process of its own; memory is that process's, without the server's.
"""

WHOLE_NIGHT = """\
One night through Dagster in one process: 2,400 items of which 290 are anchors, a window of 30 days
with 40,000 answers each. The 29 days before it are in the archive already; the night extracts its
own, fits, flags, links, audits and publishes. The embedded PostgreSQL runs on the same cores.
"""

HTTP = """\
`calibrate api` in one process over a version of 2,400 items, and `wrk` on the same two cores:
single items by the alias `current`, all over the pool, 16 connections, 10 seconds, three times.
Every request's token is checked, and every one is logged. Whole versions are asked for 50 times,
one after another.
"""

CALIBRATIONS = """\
50,000 observations to `POST /calibrate`, from the first byte sent to the last one of the answer, on
the loopback address: simulated 3PL answers, 1,000 persons × 50 of 100 items and 2,500 × 20 of 200,
five times each, by a service with one calculating process. What is read, fitted and written takes
all of the time; priors are learned, and standard errors included.
"""
