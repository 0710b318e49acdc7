"""MLflow: every run from the files of the pipeline, and curves while a model trains. Nothing else imports MLflow."""
