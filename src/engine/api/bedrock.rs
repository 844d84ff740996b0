//! Amazon Bedrock's Converse: requests out, answers in, whole or as a binary event stream.
