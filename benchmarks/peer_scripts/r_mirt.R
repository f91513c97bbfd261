# R mirt: the 3PL with priors on a and c, or with fixed items and a free population.
# Rscript r_mirt.R FOLDER OUTPUT.csv (priors | anchors); leaves with 69 where mirt is missing.

NOT_INSTALLED <- 69
if (!requireNamespace("mirt", quietly = TRUE)) quit(status = NOT_INSTALLED)
suppressPackageStartupMessages(library(mirt))

arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
output <- arguments[2]
mode <- arguments[3]

answers <- read.csv(file.path(folder, "answers.csv"))
known <- read.csv(file.path(folder, "items.csv"), na.strings = "nan")
prior <- read.csv(file.path(folder, "prior.csv"))  # rows: log a, b, logit c
n_items <- nrow(known)

responses <- matrix(NA_integer_, max(answers$person), n_items)
responses[cbind(answers$person, answers$item)] <- answers$correct
colnames(responses) <- paste0("I", seq_len(n_items))

# mirt refuses items with a single response category, fixed ones included.
varies <- apply(responses, 2, function(column) length(unique(column[!is.na(column)])) == 2)
responses <- responses[, varies, drop = FALSE]
kept <- which(varies)

# mirt can't use a person without answers.
responses <- responses[rowSums(!is.na(responses)) > 0, , drop = FALSE]

values <- mirt(responses, 1, itemtype = "3PL", pars = "values")
set_prior <- function(values, name, type, mean, sd) {
  values$prior.type <- as.character(values$prior.type)
  rows <- values$name == name & values$item != "GROUP" & values$est
  values$prior.type[rows] <- type
  values$prior_1[rows] <- mean
  values$prior_2[rows] <- sd
  values
}

if (mode == "anchors") {
  for (number in which(is.finite(known$a[kept]))) {
    item <- known[kept[number], ]
    fixed <- c(a1 = item$a, d = -item$a * item$b, g = item$c)
    for (name in names(fixed)) {
      row <- values$item == colnames(responses)[number] & values$name == name
      values$value[row] <- fixed[[name]]
      values$est[row] <- FALSE
    }
  }
  values$est[values$name %in% c("MEAN_1", "COV_11")] <- TRUE
}
# A normal prior on g applies to its logit; b is no parameter of mirt's, so it gets none.
values <- set_prior(values, "a1", "lnorm", prior$mean[1], prior$sd[1])
values <- set_prior(values, "g", "norm", prior$mean[3], prior$sd[3])

started <- proc.time()[["elapsed"]]
fit <- mirt(
  responses, 1, itemtype = "3PL", pars = values, SE = FALSE, verbose = FALSE,
  technical = list(NCYCLES = 2000)
)
seconds <- proc.time()[["elapsed"]] - started

items <- coef(fit, IRTpars = TRUE, simplify = TRUE)$items
group <- coef(fit, simplify = TRUE)
estimate <- matrix(NaN, n_items, 3, dimnames = list(NULL, c("a", "b", "c")))
estimate[kept, ] <- items[, c("a", "b", "g")]

cycles <- extract.mirt(fit, "iterations")
note <- paste0(cycles, " cycles", if (extract.mirt(fit, "converged")) "" else " (not converged)")
free <- mode == "anchors"
summary <- data.frame(
  a = c(seconds, if (free) group$means[[1]] else NaN),
  b = c(NaN, if (free) sqrt(group$cov[1, 1]) else NaN),
  c = NaN
)
# The first line says what and how, two rows of figures follow, then a row per item.
writeLines(paste0("# mirt ", packageVersion("mirt"), ";", note), output)
write.table(rbind(summary, as.data.frame(estimate)), output,
  append = TRUE, sep = ",", row.names = FALSE, col.names = FALSE)
