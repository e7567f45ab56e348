//! `redshift(flux, ivar, wave).z`: fields of what a function answers, which DataFusion's planner
//! knows only as `redshift(…)['z']`.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, Query, SelectItem, SetExpr, Value, VisitMut, VisitorMut,
};

/// Rewrites the fields of a query, and names columns after the field that they show, as PostgreSQL
/// does.
pub fn named(mut statement: Statement) -> Statement {
    if let Statement::Statement(s) = &mut statement {
        let _ = s.visit(&mut Fields);
    }
    statement
}

struct Fields;

impl VisitorMut for Fields {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        name_columns(&mut query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, e: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundFieldAccess { access_chain, .. } = e {
            for step in access_chain {
                if let Some(name) = field(step) {
                    *step =
                        AccessExpr::Dot(Expr::value(Value::SingleQuotedString(name.value.clone())));
                }
            }
        }
        ControlFlow::Continue(())
    }
}

fn field(step: &AccessExpr) -> Option<&Ident> {
    if let AccessExpr::Dot(Expr::Identifier(name)) = step {
        Some(name)
    } else {
        None
    }
}

/// The name of a column; none of `*`, which may have any.
fn name_of(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(i))
        | SelectItem::ExprWithAlias { alias: i, .. } => Some(i.value.clone()),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(all)) => {
            all.last().map(|i| i.value.clone())
        }
        SelectItem::UnnamedExpr(_) => Some(String::new()),
        _ => None,
    }
}

fn name_columns(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            // `select z, redshift(…).z`: the second keeps its long name, for two of one name are
            // refused.
            let mut taken: Vec<Option<String>> = select.projection.iter().map(name_of).collect();
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr @ Expr::CompoundFieldAccess { .. }) = item
                    && let Expr::CompoundFieldAccess { access_chain, .. } = &*expr
                    && let Some(alias) = access_chain.last().and_then(field).cloned()
                    && !taken.iter().any(|t| {
                        t.as_ref()
                            .is_none_or(|t| t.eq_ignore_ascii_case(&alias.value))
                    })
                {
                    taken.push(Some(alias.value.clone()));
                    *item = SelectItem::ExprWithAlias {
                        expr: expr.clone(),
                        alias,
                    };
                }
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            name_columns(left);
            name_columns(right);
        }
        _ => {}
    }
}
