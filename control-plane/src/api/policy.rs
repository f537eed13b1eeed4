//! PolicyService.
